"""The options last offered to somebody, which Viber sends back with their next message (`tracking_data`).

A pressed button arrives as a message that says what is on the button, so this tells which option it was.
https://developers.viber.com/docs/api/rest-bot-api/#general-send-message-parameters
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from omnibus.errors import Refused
from omnibus.model.content import ChoiceResponse, Content, Option, Text

MAX_TRACKING = 4_000


class _Offered(msgspec.Struct, frozen=True):
    options: dict[str, str]
    """Ids by titles."""


def tracking_of(options: Sequence[Option]) -> str:
    """What to send along with a keyboard. Raises Refused when Viber would not take it."""
    titles = {option.title: option.id for option in reversed(options) if option.url is None}
    data = msgspec.json.encode(_Offered(titles)).decode()
    if len(data) > MAX_TRACKING:
        raise Refused("UNSUPPORTED_OPERATION", f"titles and ids of options together exceed {MAX_TRACKING} characters")
    return data


def chosen(text: str, tracking: str | None) -> Content:
    """The option that was offered under these words, or the words."""
    if tracking and text in (offered := _offered(tracking)):
        return ChoiceResponse(option_id=offered[text], title=text, payload=offered[text])
    return Text(text=text)


def _offered(tracking: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(tracking.encode("utf-8", "replace"), type=_Offered).options
    except (msgspec.DecodeError, RecursionError):
        return {}
