"""What a message of a channel says, before it is known whose message it is."""

from __future__ import annotations

import msgspec

from omnibus.channel.events import Media
from omnibus.model.content import Content


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A content, and the files it speaks of."""

    content: Content
    attachments: tuple[Media, ...] = ()
