"""What a channel would refuse, found before anything is sent; and content put into a form the channel takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from omnibus.channel.declaration import AttachmentRule, Capabilities
from omnibus.errors import Refused
from omnibus.model.content import Attachment, Choices, Media, Option, Template, Text, text_of
from omnibus.model.events import Outbound

LAST_INBOUND_AUTO = "last_inbound_auto_submitted"
"""Attribute of a conversation: the `auto_submitted` of the contact's last message, where it was not ``no``."""

_UNREACHABLE_STATES = frozenset({"expired", "blocked", "too_large"})


def adapted(outbound: Outbound, capabilities: Capabilities) -> Outbound:
    """The message in a form the channel takes: choices become numbered text where it has no buttons."""
    content = outbound.message.content
    has_choices = "choices" in capabilities.sends or "choices" in capabilities.supports
    if not isinstance(content, Choices) or has_choices:
        return outbound
    message = msgspec.structs.replace(outbound.message, content=Text(text=numbered(content)))
    return msgspec.structs.replace(outbound, message=message)


def numbered(choices: Choices) -> str:
    """A question with its options as numbered lines."""
    lines = [f"{number}. {_option(option)}" for number, option in enumerate(choices.options, start=1)]
    return "\n".join([choices.text, "", *lines] if choices.text else lines)


def _option(option: Option) -> str:
    return " – ".join(part for part in (option.title, option.description, option.url) if part)


def check(outbound: Outbound, capabilities: Capabilities, now: datetime) -> None:
    """Raises Refused with the code of the failure vocabulary when the channel would not take the message."""
    _check_loop(outbound)
    _check_recipient(outbound)
    _check_kind(outbound, capabilities)
    _check_length(outbound, capabilities)
    _check_attachments(outbound.message.attachments, capabilities.attachments)
    _check_window(outbound, capabilities, now)


def _check_loop(outbound: Outbound) -> None:
    """Never answer a bounce, and never let one machine answer another (RFC 3834, section 2)."""
    last_inbound = outbound.conversation.attributes.get(LAST_INBOUND_AUTO, "no")
    if last_inbound == "bounce" or outbound.message.auto_submitted == "bounce":
        raise Refused("DELIVERY_REJECTED_DUE_TO_POLICY", "the contact's last message is a bounce")
    by_machine = outbound.message.auto_submitted != "no" or outbound.message.author.type in ("bot", "system")
    if by_machine and last_inbound != "no":
        raise Refused("DELIVERY_REJECTED_DUE_TO_POLICY", "an automatic message is not answered automatically")


def _check_recipient(outbound: Outbound) -> None:
    if outbound.recipient.blocked:
        raise Refused("DELIVERY_REJECTED_DUE_TO_POLICY", "the recipient is blocked")


def _check_kind(outbound: Outbound, capabilities: Capabilities) -> None:
    content = outbound.message.content
    kind = content.__struct_config__.tag
    if kind == "choices" and "choices" in capabilities.supports:
        return
    if kind not in capabilities.sends:
        code = "MEDIA_TYPE_UNSUPPORTED" if isinstance(content, Media) else "UNSUPPORTED_OPERATION"
        raise Refused(code, f"the channel does not send {kind}; it sends {', '.join(sorted(capabilities.sends))}")


def _check_length(outbound: Outbound, capabilities: Capabilities) -> None:
    longest, length = capabilities.max_text_chars, len(text_of(outbound.message.content))
    if longest is not None and length > longest and not capabilities.splits_text:
        raise Refused("UNSUPPORTED_OPERATION", f"the text has {length} characters, the channel takes {longest}")


def _check_attachments(attachments: Sequence[Attachment], rules: Sequence[AttachmentRule]) -> None:
    for attachment in attachments:
        if attachment.state in _UNREACHABLE_STATES:
            raise Refused("MEDIA_NOT_REACHABLE", f"attachment {attachment.id} is {attachment.state}")
        rule = _rule_for(attachment.mime, rules)
        if rule is None:
            raise Refused("MEDIA_TYPE_UNSUPPORTED", f"the channel takes no {attachment.mime}")
        if (attachment.size or 0) > rule.max_bytes:
            size = f"{attachment.mime} of {attachment.size} bytes"
            raise Refused("MEDIA_TOO_LARGE", f"{size}; the channel takes {rule.max_bytes} of {rule.mime}")


def _rule_for(mime: str, rules: Sequence[AttachmentRule]) -> AttachmentRule | None:
    """The rule that names the type most exactly: ``image/png`` before ``image/*`` before ``*/*``."""
    mime = mime.partition(";")[0].strip().lower()
    family = mime.partition("/")[0]
    for pattern in (mime, f"{family}/*", "*/*"):
        for rule in rules:
            if rule.mime == pattern:
                return rule
    return None


def _check_window(outbound: Outbound, capabilities: Capabilities, now: datetime) -> None:
    last = outbound.conversation.last_inbound_at
    is_template = isinstance(outbound.message.content, Template)
    window = capabilities.reply_window
    if window is not None and any(part in outbound.conversation.thread_key for part in window.not_for):
        return
    if last is None:
        if not capabilities.outbound_first and not (window and window.template_after and is_template):
            raise Refused("OUTSIDE_ALLOWED_SENDING_WINDOW", "the contact has not written yet")
        return
    if window is None or now < last + window.duration or (window.template_after and is_template):
        return
    hint = "; only templates may be sent now" if window.template_after else ""
    raise Refused("OUTSIDE_ALLOWED_SENDING_WINDOW", f"the contact's last message is older than {window.duration}{hint}")
