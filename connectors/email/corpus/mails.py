"""Checks of whole mails: fields, bodies, files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from connectors._shared.mime.addresses import Address
from connectors._shared.mime.parse import Part
from connectors._shared.mime.structure import text_of_part
from connectors._shared.mime.transfer import is_identity
from connectors.email.auto import auto_submitted, report_type
from connectors.email.bounce import read_report
from connectors.email.corpus.case import Case, Check
from connectors.email.mail import Mail, read_mail

Got = Callable[[Mail], Any]


def check_mail(case: Case) -> Iterator[Check]:
    """One check for each field the source states and nobody disputes."""
    mail = read_mail(case.data())
    disputed = case.expect.get("disputed", {})
    for field, expected in case.expect.items():
        if field in disputed or field not in _FIELDS:
            continue
        if field.startswith("attachment") and "enriched" in case.expect:
            expected = _with_enriched(field, expected, mail)
        got, same = _FIELDS[field]
        value = got(mail)
        yield Check(field, same(expected, value), expected, value)


def _with_enriched(field: str, expected: Any, mail: Mail) -> Any:
    """A source that states text/enriched as a body does not count it as a file, we do."""
    bodies = [_file(part) for part in mail.bodies.files if part.content_type == "text/enriched"]
    return expected + len(bodies) if field == "attachment_count" else [*expected, *bodies]


def _people(field: str) -> Got:
    def got(mail: Mail) -> list[dict[str, str | None]]:
        found = [_person(address) for address in mail.addresses(field)]
        return found or [{"name": name, "email": None} for name in mail.bare_names(field)]

    return got


def _person(address: Address) -> dict[str, str | None]:
    return {"name": address.name, "email": address.email}


def _same_people(expected: Any, got: Any) -> bool:
    return len(expected) == len(got) and all(map(_same_person, expected, got))


def _same_person(expected: Any, got: Any) -> bool:
    return bool(expected["email"] == got["email"]) and (
        not expected.get("name") or _same_words(expected["name"], got["name"])
    )


def _same_words(expected: Any, got: Any) -> bool:
    """Equal but for white space."""
    return " ".join((expected or "").split()) == " ".join((got or "").split())


def _same_text(expected: Any, got: Any) -> bool:
    return _lines(expected) == _lines(got)


def _lines(text: str | None) -> str:
    lines = (text or "").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def _same_texts(expected: Any, got: Any) -> bool:
    return len(expected) == len(got) and all(map(_same_text, expected, got))


def _equal(expected: Any, got: Any) -> bool:
    return bool(expected == got)


def _same_set(expected: Any, got: Any) -> bool:
    return set(expected) == set(got)


def _same_ids(expected: Any, got: Any) -> bool:
    return bool(([expected] if isinstance(expected, str) else list(expected or [])) == got)


def _parts(mail: Mail, kind: str) -> list[str]:
    chosen = mail.bodies.html if kind == "text/html" else mail.bodies.text
    return [text_of_part(part) for part in chosen if part.content_type == kind]


def _enriched(mail: Mail) -> str:
    found = [part for part in mail.root.walk() if part.content_type == "text/enriched"]
    return "".join(text_of_part(part) for part in found if part.disposition != "attachment")


def _files(mail: Mail) -> list[dict[str, Any]]:
    return [_file(part) for part in mail.bodies.files]


def _file(part: Part) -> dict[str, Any]:
    data = part.decoded()
    # Line ends of a body without encoding are the transport's (RFC 2045 section 2.10): some sources state LF alone.
    forms = [data, data.replace(b"\r\n", b"\n")] if is_identity(part.encoding) else [data]
    return {
        "filename": part.file_name,
        "content_type": part.content_type,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "forms": forms,
        "text": text_of_part(part) if part.content_type.startswith("text/") else None,
    }


def _same_files(expected: Any, got: Any) -> bool:
    """Each stated file is one of ours, in any order: a source that states no size says nothing of the order either."""
    left = list(got)
    for want in expected:
        found = next((have for have in left if _same_file(want, have)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _same_file(want: Any, have: Any) -> bool:
    is_called_so = _same_name(want.get("filename"), have["filename"])
    is_it = is_called_so and want.get("content_type") in (None, have["content_type"])
    size, digest = want.get("size"), want.get("sha256")
    same = any(
        size in (None, len(data)) and digest in (None, hashlib.sha256(data).hexdigest()) for data in have["forms"]
    )
    return (is_it and same) or _same_as_text(want, have)


def _same_name(stated: str | None, got: str | None) -> bool:
    """A replacement character stands for what the source's own decoder could not read."""
    if stated is None or stated == got:
        return True
    pattern = ".".join(map(re.escape, stated.split("\ufffd")))
    return "\ufffd" in stated and re.fullmatch(pattern, got or "") is not None


def _same_as_text(want: Any, have: Any) -> bool:
    """Some sources state size and hash of the decoded text, not of the bytes."""
    if not _same_name(want.get("filename"), have["filename"]) or have["text"] is None:
        return False
    forms = [have["text"].encode(), have["text"].replace("\n", "\r\n").encode()]
    return any(want["size"] == len(data) and want["sha256"] == hashlib.sha256(data).hexdigest() for data in forms)


def _keywords(mail: Mail) -> list[str]:
    return [word.strip() for word in (mail.headers.get("keywords") or "").split(",") if word.strip()]


def _types(mail: Mail) -> list[str]:
    return [part.content_type for part in mail.root.walk()]


def _enclosed(mail: Mail) -> dict[str, Any]:
    for part in mail.root.walk():
        if part.is_message and part.children:
            inner = Mail(part.children[0])
            return {"subject": inner.subject, "content_type": inner.root.content_type, "text": inner.text}
    return {}


def _same_stated(expected: Any, got: Any) -> bool:
    return all(_same_words(str(value), str(got[name])) for name, value in expected.items() if name in got)


def _same_bounce(expected: Any, got: Any) -> bool:
    """Recipients are stated with their type (`RFC822; ana@example.org`)."""
    stated = dict(expected)
    recipient = stated.pop("final_recipient", None)
    return _same_stated(stated, got) and (recipient is None or str(got["final_recipient"]) in recipient)


def _bounce(mail: Mail) -> dict[str, Any]:
    report = read_report(mail)
    first = report.failures[0] if report and report.failures else None
    return {
        "is_bounce": report is not None and any(failure.is_failure for failure in report.failures),
        "action": first.action if first else None,
        "status": first.status if first else None,
        "final_recipient": first.recipient if first else None,
    }


def _date(mail: Mail) -> str | None:
    return mail.date.isoformat() if mail.date else None


_FIELDS: dict[str, tuple[Got, Callable[[Any, Any], bool]]] = {
    **{field: (_people(field.replace("_", "-")), _same_people) for field in ("from", "sender", "to", "cc", "bcc")},
    "reply_to": (_people("reply-to"), _same_people),
    "to_first": (lambda mail: next((address.email for address in mail.addresses("to")), None), _equal),
    "to_count": (lambda mail: len(mail.addresses("to")), _equal),
    "subject": (lambda mail: mail.subject, _same_words),
    "subject_nonempty": (lambda mail: bool(mail.subject), _equal),
    "message_id": (lambda mail: mail.message_id, _equal),
    "in_reply_to": (lambda mail: mail.in_reply_to, _same_ids),
    "references": (lambda mail: mail.references, _same_ids),
    "references_and_in_reply_to": (lambda mail: [*mail.references, *mail.in_reply_to], _same_set),
    "keywords": (_keywords, _equal),
    "date": (_date, _equal),
    "content_type": (lambda mail: mail.root.content_type, _equal),
    "text": (lambda mail: "".join(_parts(mail, "text/plain")), _same_text),
    "html": (lambda mail: "".join(_parts(mail, "text/html")), _same_text),
    "enriched": (_enriched, _same_text),
    "text_parts": (lambda mail: _parts(mail, "text/plain"), _same_texts),
    "html_parts": (lambda mail: _parts(mail, "text/html"), _same_texts),
    "last_text_part": (lambda mail: _parts(mail, "text/plain")[-1], _same_text),
    "attachments": (_files, _same_files),
    "attachment_count": (lambda mail: len(_files(mail)), _equal),
    "part_count": (lambda mail: len(mail.root.children), _equal),
    "part_types": (_types, _equal),
    "part_types_top": (lambda mail: [part.content_type for part in mail.root.children], _equal),
    "enclosed": (_enclosed, _same_stated),
    "bounce": (_bounce, _same_bounce),
    "is_delivery_notification": (lambda mail: report_type(mail) == "delivery-status", _equal),
    "auto_submitted": (lambda mail: auto_submitted(mail, None).kind, _equal),
    "parse_ok": (lambda _mail: True, _equal),
}
