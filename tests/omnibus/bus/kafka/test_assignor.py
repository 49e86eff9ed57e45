"""Who owns which partition: even, and moved as little as possible."""

from __future__ import annotations

import random

from omnibus.bus.kafka.assignor import assign


def test_everybody_gets_an_even_share_and_every_partition_has_one_owner() -> None:
    for partitions in (1, 3, 12, 48):
        for members in (1, 2, 5, 13):
            shares = assign(partitions, {f"m{n}": () for n in range(members)})
            assert sorted(part for share in shares.values() for part in share) == list(range(partitions))
            assert max(map(len, shares.values())) - min(map(len, shares.values())) <= 1


def test_nothing_moves_when_nobody_comes_or_goes() -> None:
    before = assign(13, {f"m{n}": () for n in range(4)})
    assert assign(13, before) == before


def test_a_new_member_takes_its_share_and_nothing_else_moves() -> None:
    before = assign(12, {"a": (), "b": (), "c": ()})
    after = assign(12, {**before, "d": ()})
    assert len(after["d"]) == 3
    assert all(set(after[name]) <= set(before[name]) for name in before)


def test_what_a_member_leaves_behind_is_shared_and_nothing_else_moves() -> None:
    before = assign(12, {"a": (), "b": (), "c": ()})
    after = assign(12, {name: before[name] for name in ("a", "b")})
    assert set(after["a"]) > set(before["a"])
    assert set(after["b"]) > set(before["b"])


def test_two_claims_to_a_partition_are_settled_the_same_way_by_every_leader() -> None:
    """One of them missed a rebalance."""
    shares = assign(4, {"b": [0, 1, 2, 3], "a": [0, 1]})
    assert shares == {"a": [0, 1], "b": [2, 3]}


def test_claims_to_what_is_not_there_are_ignored() -> None:
    assert assign(2, {"a": [7, -1, 1], "b": []}) == {"a": [1], "b": [0]}


def test_any_history_ends_even_and_complete() -> None:
    dice = random.Random(5)
    owned: dict[str, list[int]] = {"m0": []}
    for n in range(1, 200):
        if dice.random() < 0.5 and len(owned) > 1:
            del owned[dice.choice(sorted(owned))]
        else:
            owned[f"m{n}"] = []
        owned = assign(24, owned)
        assert sorted(part for share in owned.values() for part in share) == list(range(24))
        assert max(map(len, owned.values())) - min(map(len, owned.values())) <= 1
