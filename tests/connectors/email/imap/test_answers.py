"""What servers say: sets of numbers, changes told beside answers, and lines nobody should believe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.email.imap.answers import Literal, mails, selected
from connectors.email.imap.uids import Range, less, ranges_of, uids_in, union, without

OPENED = [b"OK [UIDVALIDITY 7] ok", b"OK [UIDNEXT 20] next", b"OK [HIGHESTMODSEQ 90] highest"]

RANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 8)).map(lambda each: (each[0], each[0] + each[1])))


def test_an_opened_folder_tells_what_became_of_its_mails() -> None:
    found = selected(
        [*OPENED, b"VANISHED (EARLIER) 41,43:116,5:2", b"49 FETCH (UID 117 FLAGS (\\Seen) MODSEQ (90060128194045027))"]
    )
    assert found is not None
    assert (found.validity, found.next_uid, found.modseq) == (7, 20, 90)
    assert found.vanished == ((41, 41), (43, 116), (2, 5))
    assert found.changed == (117,)


def test_a_folder_that_counts_no_changes_is_opened_all_the_same() -> None:
    found = selected([*OPENED[:2], b"OK [NOMODSEQ] none"])
    assert found is not None
    assert (found.modseq, found.vanished, found.changed) == (0, (), ())


def test_a_folder_without_numbers_is_told_apart() -> None:
    assert selected([b"FLAGS ()", b"OK [UIDNEXT 4]"]) is None


@pytest.mark.parametrize("line", [b"VANISHED 99999999999", b"VANISHED :", b"VANISHED ,,", b"VANISHED 1:99999999999"])
def test_numbers_that_no_mail_can_have_are_not_believed(line: bytes) -> None:
    found = selected([*OPENED, line])
    assert found is not None
    assert all(last < 2**32 for _, last in found.vanished)


def test_flags_told_beside_an_answer_are_no_mails() -> None:
    literal = Literal()
    literal.write(b"abc")
    lines = [
        b"1 FETCH (UID 4 RFC822.SIZE 3 BODY[] {3}",
        literal,
        b")",
        b"2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (12))",
        b"3 FETCH (UID 5 FLAGS ())",
    ]
    assert [(mail.uid, mail.body) for mail in mails(lines, header=False)] == [(4, b"abc")]


@given(RANGES, RANGES)
def test_ranges_are_sets(left: list[Range], right: list[Range]) -> None:
    one, other = set(uids_in(left)), set(uids_in(right))
    assert set(uids_in(less(ranges_of(one), right))) == one - other
    assert set(uids_in(union(left, right))) == one | other
    assert union(left, right) == ranges_of(one | other)
    assert without(ranges_of(one), other) == ranges_of(one - other)
