"""A decision, readable."""

from __future__ import annotations

from router.explain import Row, explain
from router.rehearsal import Rehearsal


def test_a_decision_in_rows(router: Rehearsal) -> None:
    router.says("my bill")
    version = router.plan.rules.version

    assert explain(router.decisions()[0]) == [
        Row("rule 'bills'", "matched", "message.text = 'my bill'"),
        Row("decision", "queue billing", f"rule 'bills'; priority normal; rules {version}"),
        Row("fact message.text", "my bill", ""),
    ]


def test_the_default_says_so(router: Rehearsal) -> None:
    router.says("hi")

    assert explain(router.decisions()[0])[1].why.startswith("no rule applied: the default")
