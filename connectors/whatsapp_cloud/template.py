"""Templates, from the flat parameters of the unified model.

`1`, `2` ... are the body's numbered parameters and any other plain word is a named one; `header` is the text of the
header, `header.image`, `header.video` and `header.document` the address of its file; `button.0.url`, `button.0.payload`
and `button.0.code` are what the first button takes.
https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/overview
"""

from __future__ import annotations

from typing import Any

from omnibus.errors import Refused
from omnibus.model.content import Template

MEDIA = frozenset({"image", "video", "document"})
BUTTONS = {"url": ("url", "text"), "payload": ("quick_reply", "payload"), "code": ("copy_code", "coupon_code")}


def template_of(content: Template) -> dict[str, Any]:
    """The template object of a message. Raises Refused for a parameter nobody knows."""
    header = [_header(key, value) for key, value in content.params.items() if key.partition(".")[0] == "header"]
    plain = {key: value for key, value in content.params.items() if "." not in key and key != "header"}
    buttons = [_button(key, value) for key, value in content.params.items() if key.startswith("button.")]
    unknown = [key for key in content.params if "." in key and key.partition(".")[0] not in ("header", "button")]
    if unknown:
        raise Refused("UNSUPPORTED_OPERATION", f"a template has no parameter {unknown[0][:40]!r}")
    components: list[dict[str, Any]] = [{"type": "header", "parameters": header}] if header else []
    components += [{"type": "body", "parameters": _body(plain)}] if plain else []
    components += buttons
    template: dict[str, Any] = {"name": content.name, "language": {"code": content.language}}
    return {**template, "components": components} if components else template


def _body(params: dict[str, str]) -> list[dict[str, Any]]:
    numbered = sorted((key for key in params if key.isdecimal()), key=int)
    named = [key for key in params if not key.isdecimal()]
    return [
        *({"type": "text", "text": params[key]} for key in numbered),
        *({"type": "text", "parameter_name": key, "text": params[key]} for key in named),
    ]


def _header(key: str, value: str) -> dict[str, Any]:
    kind = key.partition(".")[2]
    if not kind:
        return {"type": "text", "text": value}
    if kind not in MEDIA:
        raise Refused("UNSUPPORTED_OPERATION", f"a header has no {kind[:40]!r}; it has {', '.join(sorted(MEDIA))}")
    return {"type": kind, kind: {"link": value}}


def _button(key: str, value: str) -> dict[str, Any]:
    _, index, kind = (*key.split(".", 2), "")[:3]
    if not index.isdecimal() or kind not in BUTTONS:
        raise Refused("UNSUPPORTED_OPERATION", f"not a parameter of a button: {key[:40]!r}; try button.0.url")
    sub_type, field = BUTTONS[kind]
    return {"type": "button", "sub_type": sub_type, "index": index, "parameters": [{"type": field, field: value}]}
