"""Checks of bounces, complaints and automatic answers: what a mail is, and why which recipient could not be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from connectors.email.auto import auto_submitted, report_type
from connectors.email.bounce import read_report
from connectors.email.corpus.case import Case, Check
from connectors.email.mail import Mail, read_mail

# Codes that the source gives where the mail has none.
_INVENTED = re.compile(r"^[245]\.0\.9\d\d$")


def check_bounce(case: Case) -> Iterator[Check]:
    """What kind of mail it is; for bounces the status of each recipient, and whether the failure is final."""
    mail = read_mail(case.data())
    kind = case.expect.get("kind_of_mail")
    if kind is not None:
        got = kind_of(mail)
        yield Check(f"is {kind}", got == kind, kind, got)
    if kind != "bounce":
        return
    report = read_report(mail)
    failures = report.failures if report is not None else []
    rows: list[dict[str, Any]] = case.expect.get("bounces", [])
    yield Check("recipients", len(failures) == len(rows), len(rows), [failure.recipient for failure in failures])
    for index, row in enumerate(rows):
        failure = failures[index] if index < len(failures) else None
        status = failure.status if failure is not None else None
        if row["status"] and not _INVENTED.match(row["status"]):
            yield Check("status", status == row["status"], row["status"], status)


def kind_of(mail: Mail) -> str:
    """Our verdict, in the words of the source."""
    if report_type(mail) == "feedback-report":
        return "feedback"
    report = read_report(mail)
    if report is not None and report.failures:
        return "delivered" if all(each.action in ("delivered", "relayed") for each in report.failures) else "bounce"
    return "auto-reply" if auto_submitted(mail, None).kind == "auto_reply" else "not-a-bounce"
