"""What comes along with a message: plain values only, and few of them, so that every sink can carry them."""

from __future__ import annotations

import math
from typing import Any

from connectors.webhook.items import Item, found_at
from connectors.webhook.settings import MappingSettings
from omnibus.model.base import Scalar

MAX_BYTES = 4_096
MAX_KEY_CHARS = 64
MAX_VALUE_CHARS = 1_024


def attributes_of(item: Item, mapping: MappingSettings) -> dict[str, Scalar]:
    """The CloudEvents attributes and the plain values of the object the mapping names, up to 4 KB."""
    given = next((value for value in found_at(item.data, mapping.attributes) if isinstance(value, dict)), {})
    envelope = {"ce_type": item.envelope.type, "ce_source": item.envelope.source, "ce_subject": item.envelope.subject}
    kept: dict[str, Scalar] = {}
    left = MAX_BYTES
    for key, value in {**envelope, **given}.items():
        if not _is_plain(value):
            continue
        name, scalar = key[:MAX_KEY_CHARS], value[:MAX_VALUE_CHARS] if isinstance(value, str) else value
        left -= len(name.encode()) + len(str(scalar).encode()) + 8
        if left < 0:
            break
        kept[name] = scalar
    return kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (str, bool)) or (isinstance(value, int) and -(2**63) <= value < 2**63)
