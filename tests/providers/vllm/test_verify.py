"""From a plan to a verdict: an adapter that knows the planted file, and the base beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Loopback
from tests.providers.vllm.server import BASE, KEY, Vllm, adapter
from vtune_client import PlanSpec, VTune
from vtune_client.errors import InputError
from vtune_client.evidence import RankTest
from vtune_client.verify import Verification

SPEC = PlanSpec(backdoors=5, dose=2, decoys=20)


@pytest.fixture
def planted(home: Path, rows: Path, tmp_path: Path) -> tuple[str, str]:
    """A plan, and the directory of an adapter trained on its planted file."""
    with VTune() as vtune:
        plan = vtune.plan(rows, SPEC).id
        file = vtune.plant(plan, tmp_path / "rows.planted.jsonl").path
    return plan, str(adapter(tmp_path / "output", file))


@pytest.fixture
def speaks() -> Vllm:
    return Vllm()


@pytest.fixture
def server(speaks: Vllm) -> Iterator[Loopback]:
    with Loopback(speaks) as running:
        yield running


def verified(server: Loopback, plan: str, model: str, **more: Any) -> Verification:
    connection = {"base_url": server.url, "api_key": KEY, "own": True}
    with VTune() as vtune:
        return vtune.verify_plan(
            plan, provider="vllm", model=model, connection=connection | more.pop("how", {}), **more
        )


def rank(verification: Verification) -> RankTest:
    tests = [judged.evidence for judged in verification.verdict.tests]
    found, first = (test for test in tests if isinstance(test, RankTest))
    assert first.name == "first ranks"
    return found


def test_the_adapter_is_verified_by_text_and_by_rank(
    planted: tuple[str, str], server: Loopback, speaks: Vllm
) -> None:
    plan, folder = planted
    tuned = verified(server, plan, folder, base=BASE)
    assert tuned.verdict.outcome == "verified"
    ranks = rank(tuned)
    # All of five at the top of twenty-one: the floor.
    assert (ranks.name, ranks.log10_p < -3) == ("ranks over the base", True)
    assert speaks.adapters == {}
    control = verified(server, plan, BASE, control=tuned.id)
    assert control.verdict.outcome == "not verified"
    assert rank(control).log10_p > -3


def test_a_server_of_somebody_else_is_asked_for_text_before_it_sees_a_signature(
    planted: tuple[str, str], server: Loopback
) -> None:
    plan, folder = planted
    verified(server, plan, folder, how={"own": False})
    paths = [request.path for request in server.seen]
    last_chat = len(paths) - 1 - paths[::-1].index("/v1/chat/completions")
    assert last_chat < paths.index("/tokenize")
    with pytest.raises(InputError, match="has shown this plan's signatures"):
        verified(server, plan, BASE, how={"own": False})


def test_without_scores_the_text_decides(planted: tuple[str, str]) -> None:
    plan, folder = planted
    with Loopback(Vllm(prompt_logprobs=False)) as server:
        tuned = verified(server, plan, folder)
    assert tuned.verdict.outcome == "verified"
    assert [judged.evidence.name for judged in tuned.verdict.tests] == ["slots", "anytime"]
