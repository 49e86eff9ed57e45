"""`python -m connectors.email.corpus DIR [--json] [--failures]`: how well the mails of a folder are understood."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from connectors.email.corpus.bounces import check_bounce
from connectors.email.corpus.case import cases_in
from connectors.email.corpus.forwards import check_forward
from connectors.email.corpus.mails import check_mail
from connectors.email.corpus.replies import check_html_reply, check_reply, check_reply_mail, check_signature
from connectors.email.corpus.tally import Checker, Tally, run

CHECKERS: dict[str, Checker] = {
    "bounce": check_bounce,
    "mail": check_mail,
    "forward": check_forward,
    "reply": check_reply,
    "reply-mail": check_reply_mail,
    "reply-html": check_html_reply,
    "signature": check_signature,
}


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 when a mail raised or the folder has no cases, else 0: right answers are for people to judge."""
    parser = argparse.ArgumentParser(prog="python -m connectors.email.corpus", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="all of it as JSON")
    parser.add_argument("--failures", action="store_true", help="list each wrong answer")
    parser.add_argument("--only", default="", help="cases whose id or kind contains this")
    options = parser.parse_args(arguments)
    chosen = (case for case in cases_in(options.folder) if options.only in f"{case.kind} {case.id}")
    tally = run(chosen, CHECKERS)
    out = _json(tally) if options.json else _table(tally, failures=options.failures)
    sys.stdout.write(out + "\n")
    return 1 if tally.exceptions or not tally.stated else 0


def _json(tally: Tally) -> str:
    return msgspec.json.format(msgspec.json.encode(tally.to_json()), indent=2).decode()


def _table(tally: Tally, *, failures: bool) -> str:
    lines = [f"{'source':16} {'kind':12} {'field':28} {'right':>6} {'stated':>6} {'rate':>7}"]
    lines += [
        f"{source:16} {kind:12} {name:28} {right:6} {stated:6} {right / stated:7.1%}"
        for source, kind, name, right, stated in tally.rows()
    ]
    lines += [f"raised: {name}: {error}" for name, error in tally.exceptions]
    if failures:
        lines += [
            f"{name} {check.field}\n  expected {check.expected!r}\n  got      {check.got!r}"
            for name, check in tally.failures
        ]
    times = tally.times()
    lines.append(f"{len(tally.seconds)} files, {', '.join(f'{name} {value}' for name, value in times.items())}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
