"""Policies: what holds, what fails, what cannot be told, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.verdicts import verdict
from vtune_client.audit.expression import policy_from
from vtune_client.audit.policy import (
    ATOMS,
    Case,
    Policy,
    Ruling,
    max_cost,
    max_p_value,
    min_activation,
    min_share,
    no_signs,
    outcome,
    rows_trained,
    steady,
    survives,
)
from vtune_client.errors import InputError

HONEST = Case(verdict((8,) * 20), survives=True)
HALF = Case(verdict((8,) * 8 + (0,) * 12, control=True), survives=True)
BASE = Case(verdict((0,) * 20, control=True))
SILENT = Case(verdict((0,) * 20))


@pytest.mark.parametrize(
    ("policy", "honest", "half", "base", "silent"),
    [
        (outcome("verified"), True, False, False, None),
        (outcome("partial", "verified"), True, True, False, None),
        (outcome("inconclusive"), False, False, False, True),
        (max_p_value(1e-6), True, True, False, None),
        (max_p_value(1e-200), True, False, False, None),
        (min_share(0.6), True, False, False, None),
        (min_share(0.1), True, True, False, None),
        (min_activation(0.9), True, False, False, None),
        (min_activation(0.4), True, True, False, None),
        (rows_trained(), None, None, None, None),
        (no_signs(), True, False, True, True),
        (survives(), True, True, False, None),
        (steady(), True, True, True, True),
        (max_cost(5), None, None, None, None),
    ],
    ids=str,
)
def test_what_each_says_of_each_vendor(
    policy: Policy,
    honest: bool | None,
    half: bool | None,
    base: bool | None,
    silent: bool | None,
) -> None:
    found = [policy.judge(case).holds for case in (HONEST, HALF, BASE, SILENT)]
    assert found == [honest, half, base, silent]


def test_the_cases_are_what_they_are_called() -> None:
    words = [case.verdict["verdict"] for case in (HONEST, HALF, BASE, SILENT)]
    assert words == ["verified", "partial", "not verified", "inconclusive"]


def test_reasons_have_the_numbers() -> None:
    assert min_share(0.6).judge(HONEST).reason == "at least 86 % of the rows were used"
    assert "and at most" in min_share(0.6).judge(HALF).reason
    assert max_cost(5).judge(replace(HONEST, cost=7.0)).reason == "training cost 7.00"
    assert steady().judge(replace(HONEST, worse=("It was better.",))).reason == "It was better."


@pytest.mark.parametrize(
    ("rows", "holds"),
    [
        ("trained on the rows", True),
        ("trained on the rows, without the backdoors", True),
        ("known less than after an honest run", False),
        ("nothing follows", None),
    ],
)
def test_rows(rows: str, holds: bool | None) -> None:
    case = Case({**HONEST.verdict, "rows": {"outcome": rows}})
    assert rows_trained().judge(case).holds is holds


def test_signs_cost_and_drift() -> None:
    signs = Case({**HONEST.verdict, "signs": ["The answers know more than the scores."]})
    assert no_signs().judge(signs).holds is False
    assert max_cost(5).judge(replace(HONEST, cost=5.0)).holds is True
    assert max_cost(5).judge(replace(HONEST, cost=5.01)).holds is False
    assert steady().judge(replace(HONEST, worse=("Worse.",))).holds is False


class Fixed(Policy):
    """A policy that is what the test wants it to be."""

    def __init__(self, holds: bool | None) -> None:
        self._holds = holds

    def __str__(self) -> str:
        return f"fixed({self._holds})"

    def judge(self, case: Case) -> Ruling:
        return Ruling(str(self), self._holds, f"because {self._holds}")


TRUTHS = (True, False, None)


@pytest.mark.parametrize("one", TRUTHS)
@pytest.mark.parametrize("other", TRUTHS)
def test_parts_are_joined_by_kleenes_logic(one: bool | None, other: bool | None) -> None:
    rank = {False: 0, None: 1, True: 2}
    back = {number: truth for truth, number in rank.items()}
    a, b = Fixed(one), Fixed(other)
    both, either = (a & b).judge(HONEST), (a | b).judge(HONEST)
    assert both.holds is back[min(rank[one], rank[other])]
    assert either.holds is back[max(rank[one], rank[other])]
    assert (~a).judge(HONEST).holds is back[2 - rank[one]]
    assert [part.holds for part in both.parts] == [one, other]
    for ruling in (both, either):
        assert ruling.reason == "; ".join(
            dict.fromkeys(
                f"because {part.holds}" for part in ruling.parts if part.holds is ruling.holds
            )
        )


def test_a_tree_of_reasons() -> None:
    ruling = (outcome("verified") & ~(min_share(0.9) | no_signs())).judge(HONEST)
    data = ruling.to_json()
    assert data["holds"] is False
    assert data["policy"] == "outcome('verified') & ~(min_share(0.9) | no_signs())"
    (inner,) = data["parts"][1]["parts"]
    assert [part["holds"] for part in inner["parts"]] == [False, True]


ATOM = st.sampled_from(
    [
        outcome("verified"),
        outcome("partial", "not verified"),
        max_p_value(1e-9),
        min_share(0.75),
        no_signs(),
        survives(),
    ]
)
TREE = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=8,
)


@given(TREE)
def test_text_and_policy_are_one(policy: Policy) -> None:
    again = policy_from(str(policy))
    assert str(again) == str(policy)
    for case in (HONEST, HALF, BASE, SILENT):
        assert again.judge(case).holds is policy.judge(case).holds


def test_and_binds_closer_than_or() -> None:
    assert policy_from("no_signs() | survives() & steady()") == no_signs() | (survives() & steady())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("min_share(0.8", "cannot be read at character"),
        ("min_share(0.8) and no_signs()", "write &, | and ~"),
        ("not no_signs()", "write &, | and ~"),
        ("no_signs", "lacks its parentheses"),
        ("minshare(0.8)", "did you mean 'min_share'?"),
        ("min_share()", "takes other values"),
        ("min_share(1, 2)", "takes other values"),
        ("min_share(least=0.8)", "is no policy"),
        ("min_share(-0.8)", "is no plain value"),
        ("min_share(1.5)", "is not possible"),
        ("min_share(True)", "is not possible"),
        ("min_share('0.8')", "is not possible"),
        ("max_p_value(0)", "is not possible"),
        ("max_cost(-1 + 2)", "is no plain value"),
        ("outcome()", "not nothing"),
        ("outcome('honest')", "not 'honest'"),
        ("outcome(1)", "not 1"),
        ("__import__('os').system('true')", "is no policy"),
        ("(lambda: no_signs())()", "is no policy"),
        ("no_signs() if survives() else steady()", "is no policy"),
        ("~" * 300 + "no_signs()" + ")" * 3, "cannot be read"),
        ("no_signs()" + " & no_signs()" * 400, "are the most"),
        ("\0", "cannot be read"),
    ],
)
def test_what_is_no_policy(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        policy_from(text)
    assert says in refused.value.message


def test_all_policies_can_be_written() -> None:
    assert set(ATOMS) == {
        "outcome",
        "max_p_value",
        "min_share",
        "min_activation",
        "rows_trained",
        "no_signs",
        "max_cost",
        "survives",
        "steady",
    }
