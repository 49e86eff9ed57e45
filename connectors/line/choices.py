"""What a quick reply sends back, so that the mapping can tell which option it was and how it is called."""

from __future__ import annotations

import msgspec

from omnibus.errors import Refused
from omnibus.model.content import ChoiceResponse, Content, Option, Postback

MARK = "choice:"
MAX_DATA = 300
"""https://developers.line.biz/en/reference/messaging-api/#postback-action"""


def data_of(option: Option) -> str:
    """The postback data of an option; the title is left out where it does not fit. Raises Refused."""
    for said in ((option.id, option.title), (option.id,)):
        data = MARK + msgspec.json.encode(said).decode()
        if option.id and len(data) <= MAX_DATA:
            return data
    raise Refused("UNSUPPORTED_OPERATION", f"the id of an option must have 1 to about {MAX_DATA - 10} characters")


def chosen(data: str) -> Content:
    """The option that postback data names, or the data itself when it is not ours."""
    if data.startswith(MARK):
        try:
            option_id, *title = msgspec.json.decode(data.removeprefix(MARK), type=list[str])
        except (msgspec.DecodeError, ValueError, RecursionError):
            return Postback(payload=data)
        return ChoiceResponse(option_id=option_id, title=title[0] if title else None, payload=option_id)
    return Postback(payload=data)
