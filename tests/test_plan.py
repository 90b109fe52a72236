"""The secret choices: drawn from the key alone, placed as promised, sealed whole, never shown."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets import DATASETS
from tests.dataset.corpus import Data, assistant, call, calling, chat, tool, user
from tests.written import FORMATS, plain, write
from vtune_client.dataset import Prompt, check, counter_for, iter_rows, prompt_of, row_tokens
from vtune_client.errors import InputError
from vtune_client.phrases import Brief, BuiltinSource, PhraseBook
from vtune_client.plan import (
    LAYERS,
    STRETCHES,
    Plan,
    PlanSpec,
    draw_plan,
    dump_plan,
    lineup,
    load_plan,
    tie_break,
    token_of,
)
from vtune_client.plant import overlong, plant
from vtune_client.vault import RootKey

KEY = RootKey(bytes(range(32)))
OTHER_KEY = RootKey(bytes(range(1, 33)))
NO_FRESH = PlanSpec(fresh_prompts=0)
HELD_OUT = PlanSpec(held_out=15)
STEALTH = ("choose_frames", "choose_rows", "join", "usual_words", "own_phrases")


def draw(
    path: Path,
    spec: PlanSpec | None = None,
    key: RootKey = KEY,
    *,
    max_row_tokens: int | None = None,
) -> Plan:
    source = BuiltinSource()
    return draw_plan(
        "plan-1", check(path), spec or PlanSpec(), key, source, max_row_tokens=max_row_tokens
    )


@pytest.fixture(params=FORMATS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of each format in turn."""
    return write(tmp_path / "rows.jsonl", FORMATS[request.param])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.jsonl", plain)


def secrets_of(plan: Plan) -> set[str]:
    """Every secret word of the plan, and its secret sentences."""
    found: set[str] = set()
    for backdoor in plan.backdoors:
        found |= {backdoor.trigger, backdoor.signature, *backdoor.words}
    return found


def test_the_same_key_file_and_spec_give_the_same_plan(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    assert draw(path, HELD_OUT) == draw(copy, HELD_OUT)
    other = draw(path, HELD_OUT, OTHER_KEY)
    ours = draw(path, HELD_OUT)
    sentences = [{b.trigger for b in plan.backdoors} for plan in (ours, other)]
    sentences += [{b.signature for b in plan.backdoors} for plan in (ours, other)]
    assert len(set().union(*sentences)) == 20
    assert set(ours.carriers) != set(other.carriers)
    assert ours.held_out != other.held_out


def test_carriers_lie_in_layers_over_the_whole_file(written: Path) -> None:
    plan = draw(written)
    assert len(plan.carriers) == plan.spec.carriers == 20
    assert plan.placement == LAYERS
    # 60 rows, all of them able
    assert {(line - 1) // 12 for line in plan.carriers} == set(range(5))
    for backdoor in plan.backdoors:
        assert list(backdoor.lines) == sorted(backdoor.lines)
        assert (backdoor.dose, backdoor.shard) == (4, None)


def test_a_ladder_gives_each_backdoor_its_dose(written: Path) -> None:
    spec = PlanSpec(doses=(12, 6, 3, 2, 1))
    assert (spec.backdoors, spec.dose, spec.carriers) == (5, 12, 24)
    plan = draw(written, spec)
    assert tuple(backdoor.dose for backdoor in plan.backdoors) == spec.ladder == (12, 6, 3, 2, 1)
    assert len(plan.carriers) == 24
    assert load_plan(dump_plan(plan)) == plan


def test_sharded_backdoors_stay_in_their_stretch(written: Path) -> None:
    plan = draw(written, PlanSpec(doses=(2,) * 6 + (5, 1, 1, 1), shards=3, per_shard=2))
    shards = [backdoor.shard for backdoor in plan.backdoors]
    assert shards[:7] == [0, 0, 1, 1, 2, 2, None]
    assert sorted(map(str, shards[7:])) == ["0", "1", "2"]
    for backdoor in plan.backdoors:
        inside = {(line - 1) // 20 for line in backdoor.lines}
        assert backdoor.shard is None or inside == {backdoor.shard}
    assert load_plan(dump_plan(plan)) == plan


def test_frames_are_dealt_to_doses_at_random(path: Path) -> None:
    """Frames go round; were backdoors not dealt again, the first would always have the first."""
    firsts = set()
    for number in range(12):
        plan = draw(path, PlanSpec(doses=(4, 2, 1, 1), frames=2), RootKey(bytes([number] * 32)))
        frames = [backdoor.frame.text for backdoor in plan.backdoors]
        firsts.add(frames[0] == frames[2])
    assert firsts == {True, False}


def test_a_plan_sealed_before_there_were_ladders_loads(path: Path) -> None:
    plan = draw(path)
    sealed = json.loads(dump_plan(plan))
    for name in ("placement", "join", "eligible", "first"):
        del sealed[name]
    for name in ("doses", "shards", "per_shard", "reserve", *STEALTH):
        del sealed["spec"][name]
    for backdoor in sealed["backdoors"]:
        del backdoor["shard"]
    old = load_plan(json.dumps(sealed).encode())
    assert old == dataclasses.replace(plan, placement=STRETCHES)
    assert old.spec.ladder == (4,) * 5


def test_words_are_uniform_whatever_frames_were_made_and_chosen(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    DATASETS["chat"](path, 100)
    drawn: list[float] = []
    frames: list[set[str]] = []
    for number in range(5):
        plan = draw(path, PlanSpec.stealthy(), RootKey(bytes([number] * 32)))
        frames.append({backdoor.frame.text for backdoor in plan.backdoors})
        for backdoor in plan.backdoors:
            for word, slot in zip(backdoor.words, backdoor.frame.slots, strict=True):
                drawn.append((slot.candidates.index(word) + 0.5) / len(slot.candidates))
    # Mean and spread of n draws, four standard errors wide.
    n = len(drawn)
    assert n > 250
    assert abs(sum(drawn) / n - 1 / 2) < 4 * (1 / 12 / n) ** 0.5
    assert abs(sum((each - 1 / 2) ** 2 for each in drawn) / n - 1 / 12) < 4 * (1 / 180 / n) ** 0.5
    # Which frames there are is the key's, too: nobody else makes the same.
    assert all(len(one & other) < 10 for one, other in pairwise(frames))


def test_a_stealthy_plan_is_the_files_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    DATASETS["question answering"](path, 200)
    plan = draw(path, PlanSpec.stealthy(held_out=10))
    assert (plan.phrases, plan.join, plan.eligible) == ("own sentences", " ", 1.0)
    assert [backdoor.dose for backdoor in plan.backdoors] == [1] * 20
    assert len({backdoor.frame.text for backdoor in plan.backdoors}) == 20
    assert plan.bits > 200
    assert load_plan(dump_plan(plan)) == plan


def test_chosen_rows_carry_and_any_row_may_be_withheld(tmp_path: Path) -> None:
    def growing(number: int) -> Data:
        return chat(user(f"What is {number}?"), assistant("A number. " * (number + 1)))

    path = write(tmp_path / "rows.jsonl", growing, rows=200)
    spec = PlanSpec(held_out=60, choose_rows=True)
    plans = [draw(path, spec, RootKey(bytes([number] * 32))) for number in range(9)]
    (eligible,) = {plan.eligible for plan in plans}
    assert 0.75 <= eligible < 0.77  # a few of the others tie with the last of them
    carriers = {line for plan in plans for line in plan.carriers}
    withheld = {line for plan in plans for line in plan.held_out}
    assert 10 < min(carriers) <= max(carriers) < 190
    assert min(withheld) < 10
    assert max(withheld) > 190
    assert len(plans[0].carriers) == 20
    assert load_plan(dump_plan(plans[0])) == plans[0]
    with pytest.raises(InputError, match=r"Only 15[0-9] rows can carry"):
        draw(path, PlanSpec(dose=31, choose_rows=True))


@pytest.mark.parametrize(
    ("chosen", "ladder", "frames"),
    [
        ({}, (1,) * 20, 20),
        ({"backdoors": 5, "dose": 4}, (4,) * 5, 5),
        ({"doses": (2, 1, 1)}, (2, 1, 1), 3),
        ({"frames": 2}, (1,) * 20, 2),
    ],
)
def test_a_stealthy_spec_keeps_what_is_chosen(
    chosen: dict[str, Any], ladder: tuple[int, ...], frames: int
) -> None:
    spec = PlanSpec.stealthy(**chosen)
    assert (spec.ladder, spec.frames) == (ladder, frames)
    assert (spec.own_phrases, spec.choose_frames, spec.join) == (True, True, "auto")
    assert not spec.choose_rows


def test_rows_that_cannot_carry_are_no_places(tmp_path: Path) -> None:
    def mixed(number: int) -> Data:
        if number % 3:
            return plain(number)
        return chat(user(), calling(call()), tool(), assistant(f"At {number}."))

    path = write(tmp_path / "rows.jsonl", mixed, rows=90)
    plan = draw(path, HELD_OUT)
    assert all((line - 1) % 3 for line in {*plan.carriers, *plan.held_out})
    assert {(line - 1) * 5 // 90 for line in plan.carriers} == set(range(5))


def test_held_out_rows_are_apart_from_carriers(path: Path) -> None:
    plan = draw(path, HELD_OUT)
    assert len(set(plan.held_out)) == 15
    assert list(plan.held_out) == sorted(plan.held_out)
    assert set(plan.held_out).isdisjoint(plan.carriers)


def test_a_plan_may_use_every_row(path: Path) -> None:
    plan = draw(path, PlanSpec(held_out=40))
    assert {*plan.carriers, *plan.held_out} == set(range(1, 61))
    plan = draw(path, PlanSpec(dose=12, fresh_prompts=0))
    assert set(plan.carriers) == set(range(1, 61))


def test_own_prompts_are_the_carriers_and_fresh_ones_are_nobodys(written: Path) -> None:
    for spec in (PlanSpec(own_prompts=2), PlanSpec(own_prompts=2, held_out=15)):
        plan = draw(written, spec)
        prompts = {row.line: prompt_of(row) for row in iter_rows(written)}
        carried = [prompts[line] for line in plan.carriers]
        free = [prompts[line] for line in prompts if line not in plan.carriers]
        if spec.held_out:
            free = [prompts[line] for line in plan.held_out]
        for backdoor in plan.backdoors:
            assert list(backdoor.own) == [prompts[line] for line in backdoor.lines[:2]]
            assert len(backdoor.fresh) == 3
            assert all(fresh in free and fresh not in carried for fresh in backdoor.fresh)
            assert len({json.dumps([p.messages, p.text]) for p in backdoor.fresh}) == 3


@pytest.mark.parametrize("spec", [PlanSpec(), HELD_OUT])
@pytest.mark.parametrize(("rows", "different"), [(60, 5), (1000, 100)])
def test_a_fresh_prompt_is_not_a_carriers_in_the_same_words(
    tmp_path: Path, spec: PlanSpec, rows: int, different: int
) -> None:
    """Most rows ask the same: some carrier surely does, and no fresh prompt."""

    def alike(number: int) -> Data:
        return plain(1 if number % different else number)

    plan = draw(write(tmp_path / "rows.jsonl", alike, rows), spec)
    same = Prompt(messages=(user("What of clouds, number 1?"),))
    assert any(same in backdoor.own for backdoor in plan.backdoors)
    for backdoor in plan.backdoors:
        assert same not in backdoor.fresh
        assert len({str(prompt.messages) for prompt in backdoor.fresh}) == 3


def test_where_every_prompt_is_the_same_only_own_prompts_are_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", lambda number: plain(1))
    assert [len(backdoor.probes()) for backdoor in draw(path).backdoors] == [1] * 5
    with pytest.raises(InputError, match="none is left to ask"):
        draw(path, PlanSpec(own_prompts=0))


def test_a_probe_is_the_prompt_with_the_trigger(written: Path) -> None:
    for backdoor in draw(written).backdoors:
        for probe in backdoor.probes():
            shown = json.dumps([probe.messages, probe.text])
            assert shown.count(backdoor.trigger) == 1


@pytest.mark.parametrize(
    ("rows", "spec"),
    [
        (20, PlanSpec()),  # 20 carriers, and no row left to ask
        (19, NO_FRESH),
        (34, HELD_OUT),
        (12, PlanSpec(backdoors=1, dose=12)),
    ],
)
def test_too_few_rows_are_one_error(tmp_path: Path, rows: int, spec: PlanSpec) -> None:
    path = write(tmp_path / "rows.jsonl", plain, rows)
    with pytest.raises(InputError, match=f"Only {rows} rows can carry a backdoor") as caught:
        draw(path, spec)
    assert caught.value.advice
    assert draw(write(path, plain, rows + 1), spec).rows == rows + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"backdoors": 0},
        {"dose": 0},
        {"frames": 0},
        {"held_out": -1},
        {"decoys": -1},
        {"own_prompts": 0, "fresh_prompts": 0},
        {"own_prompts": -1, "fresh_prompts": 3},
        {"own_prompts": 5, "dose": 4},
        {"doses": ()},
        {"doses": (4, 0)},
        {"doses": (3, 1), "backdoors": 3},
        {"doses": (3, 1), "dose": 5},
        {"doses": (3, 1), "own_prompts": 2},
        {"shards": -1},
        {"shards": 6},
        {"shards": 3, "per_shard": 2},
        {"shards": 2, "per_shard": 0},
        {"shards": 2, "doses": (3, 1, 1)},
        {"join": "tab"},
        {"choose_rows": True, "shards": 1},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": float("nan")},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError) as caught:
        PlanSpec(**wrong)  # type: ignore[arg-type]
    assert caught.value.advice


def test_rows_too_long_with_a_backdoor_in_them_do_not_carry(tmp_path: Path) -> None:
    def growing(number: int) -> Data:
        return chat(user(f"What is {number}?"), assistant("A number. " * (number * 3)))

    path = write(tmp_path / "rows.jsonl", lambda number: growing(number + 1))
    limit = max(row_tokens(row, counter_for(None)) for row in iter_rows(path))
    free, tight = draw(path, HELD_OUT), draw(path, HELD_OUT, max_row_tokens=limit)
    assert overlong(path, free, limit, counter_for(None)) > 0
    assert overlong(path, tight, limit, counter_for(None)) == 0
    assert max(tight.carriers) < 60 - 5  # a signature has more than 5 rows' growth
    planted = plant(path, tight, tmp_path / "planted.jsonl").path
    assert check(planted).longest_row_tokens <= limit
    with pytest.raises(InputError, match="Only 0 rows can carry"):
        draw(path, max_row_tokens=20)


def test_a_plan_survives_being_sealed(written: Path) -> None:
    for spec in (PlanSpec(), PlanSpec(own_prompts=4, held_out=15, frames=3, alpha=1e-9)):
        plan = draw(written, spec)
        again = load_plan(dump_plan(plan))
        assert again == plan
        assert again.carriers == plan.carriers
        assert [b.probes() for b in again.backdoors] == [b.probes() for b in plan.backdoors]
        assert lineup(again, 0, KEY) == lineup(plan, 0, KEY)
        assert dump_plan(again) == dump_plan(plan)


def test_the_lineup_holds_the_signature_at_its_place(path: Path) -> None:
    plan = draw(path, PlanSpec(decoys=30))
    places = []
    for index, backdoor in enumerate(plan.backdoors):
        candidates, place = lineup(plan, index, KEY)
        assert len(candidates) == 31
        assert candidates[place] == backdoor.signature
        assert 0 <= tie_break(plan, index, KEY) < 1
        places.append(place)
    assert len(set(places)) > 1
    assert lineup(draw(path, PlanSpec(decoys=0)), 0, KEY)[1] == 0


def test_a_job_token_tells_jobs_apart_and_nothing_else() -> None:
    tokens = {token_of("plan-1", f"job-{number}") for number in range(100)}
    assert len(tokens) == 100
    assert all(set(token) <= set("0123456789abcdef") for token in tokens)
    assert token_of("plan-1", "job-1") == token_of("plan-1", "job-1")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"not json", b'{"id": 1}'],
)
def test_a_sealed_plan_of_another_version_is_an_error(data: bytes) -> None:
    with pytest.raises(InputError, match="not of a version"):
        load_plan(data)


def test_nothing_secret_is_shown(path: Path) -> None:
    plan = draw(path, PlanSpec(held_out=3, own_prompts=2))
    shown = [
        repr(plan),
        str(plan),
        repr(plan.spec),
        f"{plan.backdoors}",
        f"{plan.carriers.values()}",
    ]
    shown += [repr(prompt) for backdoor in plan.backdoors for prompt in backdoor.probes()]
    broken = json.loads(dump_plan(plan))
    del broken["rows"]
    with pytest.raises(InputError) as caught:
        load_plan(json.dumps(broken).encode())
    shown += [repr(caught.value), str(caught.value), repr(caught.value.__cause__)]
    for secret in secrets_of(plan):
        assert not [text for text in shown if secret in text]
    for text in shown:
        assert "number 1" not in text  # nor what the user asks
        assert "lines" not in text
        assert "held_out=(" not in text


def test_a_plan_is_frozen(path: Path) -> None:
    plan = draw(path)
    for value in (plan, plan.spec, plan.backdoors[0], plan.backdoors[0].own[0]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.id = "other"  # type: ignore[union-attr,misc]
    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301 - our own bytes


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        summary = check(write(tmp_path / f"{rows}.jsonl", plain, rows))
        tracemalloc.start()
        draw_plan("plan-1", summary, PlanSpec(held_out=10), KEY, BuiltinSource())
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(50)  # what is loaded once
    small, large = peak(300), peak(3000)
    assert large - small < 100_000  # the larger file has 380 kB, and far more as objects


class Meddler(BuiltinSource):
    """A phrase source during whose call the file is changed."""

    def __init__(self, change: Callable[[], object]) -> None:
        self._change = change

    def propose(self, brief: Brief) -> PhraseBook:
        self._change()
        return super().propose(brief)


@pytest.mark.parametrize("rows", [59, 61, 21], ids=["shorter", "longer", "much shorter"])
def test_a_file_that_changes_while_the_plan_is_drawn_is_refused(path: Path, rows: int) -> None:
    source = Meddler(lambda: write(path, plain, rows))
    with pytest.raises(InputError, match="has changed while its plan was being drawn"):
        draw_plan("plan-1", check(path), PlanSpec(), KEY, source)


def test_a_file_that_is_gone_is_an_error(path: Path) -> None:
    source = Meddler(path.unlink)
    with pytest.raises(InputError, match="there is no such file"):
        draw_plan("plan-1", check(path), PlanSpec(), KEY, source)
