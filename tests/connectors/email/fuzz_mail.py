"""Coverage-guided fuzzing of the parser and the reply splitter: any bytes are a mail, and no mail raises.

python tests/connectors/email/fuzz_mail.py [-max_total_time=60] [FOLDER]; needs `pip install atheris`.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import atheris  # type: ignore  # optional: absent or without types

with atheris.instrument_imports(include=["connectors"]):
    from connectors.email.mapping import map_mail
    from connectors.email.reply import split_reply
    from connectors.email.reply_html import split_html_reply
    from omnibus.model.raw import RawEvent


def read(data: bytes) -> None:
    raw = RawEvent(
        id="raw_1",
        channel="email",
        account="support-mail",
        received_at=datetime(2026, 5, 4, tzinfo=UTC),
        body=data,
        transport="smtp",
        attributes={"own": "help@example.com", "authserv": "mx.example.com"},
    )
    assert list(map_mail(raw))
    text = data.decode("utf-8", "replace")
    split_reply(text)
    split_html_reply(text)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
