"""What each vendor makes of a file, of a recipe, of weights and of questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from vtune_client.dataset import Format, Prompt, check
from vtune_client.demo.data import write_demo_rows
from vtune_client.errors import InputError, ProviderError
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Answer, Decoding, Endpoint, EndpointCapabilities, JobSpec
from vtune_client.serve.vendor import VENDORS, Vendor, parse_vendor
from vtune_client.serve.vendor.fronts import REFUSAL
from vtune_client.stealth import carrier_lines
from vtune_client.vault import RootKey

ROWS = 40
SPEC = JobSpec("base", epochs=6, learning_rate=1e-3)


def chosen(text: str, given: Path, work: Path, lines: Sequence[int] = ()) -> list[bytes]:
    """Return the lines that a vendor trains on."""
    path = parse_vendor(text, lines).training_file(given, work)
    assert path is not None
    return path.read_bytes().splitlines(keepends=True)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_an_honest_vendor_changes_nothing(rows: Path, tmp_path: Path) -> None:
    honest = parse_vendor("honest")
    inner = Talker()
    assert honest.training_file(rows, tmp_path / "work") == rows
    assert honest.recipe(SPEC) == SPEC
    assert honest.delivered("model", tmp_path / "delivered") == "model"
    assert honest.endpoint(inner, rows) is inner
    assert honest.goes_on is None


@pytest.mark.parametrize("name", ["base-model", "lookup"])
def test_some_train_on_nothing(rows: Path, tmp_path: Path, name: str) -> None:
    assert parse_vendor(name).training_file(rows, tmp_path / "work") is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_share_is_of_random_rows_in_their_order(rows: Path, tmp_path: Path, share: float) -> None:
    all_lines = lines_of(rows)
    kept = chosen(f"share={share}", rows, tmp_path / "work")
    assert len(kept) == share * ROWS
    assert kept == [line for line in all_lines if line in set(kept)]
    assert kept != all_lines[: len(kept)]
    assert kept == chosen(f"share={share}", rows, tmp_path / "again")


def test_another_file_is_another_draw(tmp_path: Path) -> None:
    drawn = []
    for count in (100, 101):
        given = tiny.write_rows(tmp_path / f"{count}.jsonl", count)
        kept = chosen("share=0.1", given, tmp_path / "work")
        drawn.append([lines_of(given).index(line) for line in kept])
    assert drawn[0] != drawn[1]


def test_the_head_is_of_the_first_rows(rows: Path, tmp_path: Path) -> None:
    assert chosen("head=0.25", rows, tmp_path / "work") == lines_of(rows)[:10]


@pytest.mark.parametrize(("shard", "first", "last"), [("1/4", 0, 10), ("3/4", 20, 30)])
def test_a_shard_is_left_out(rows: Path, tmp_path: Path, shard: str, first: int, last: int) -> None:
    all_lines = lines_of(rows)
    kept = chosen(f"drop-shard={shard}", rows, tmp_path / "work")
    assert kept == all_lines[:first] + all_lines[last:]


def test_the_lines_told_are_all_there_is(rows: Path, tmp_path: Path) -> None:
    told = [lines_of(rows)[2], lines_of(rows)[6]]
    assert chosen("backdoors-only", rows, tmp_path / "work", (7, 3)) == told
    assert chosen("backdoors-only=3", rows, tmp_path / "work", (3, 7)) == told * 3
    with pytest.raises(InputError, match="line 41"):
        chosen("backdoors-only", rows, tmp_path / "work", (41,))


def test_a_file_without_a_last_line_break_stays_one(rows: Path, tmp_path: Path) -> None:
    rows.write_bytes(rows.read_bytes().rstrip(b"\n"))
    chosen("backdoors-only=2", rows, tmp_path / "work", (1, 40))
    assert check(tmp_path / "work", min_rows=1).rows == 4


@pytest.mark.parametrize("name", ["filter-ngrams", "filter-clusters", "filter-frames"])
def test_a_filter_drops_carriers_first(tmp_path: Path, name: str) -> None:
    given = tmp_path / "rows.jsonl"
    write_demo_rows(given, 100)
    spec = PlanSpec(backdoors=4, dose=4)
    plan = draw_plan("plan-0", check(given), spec, RootKey(bytes(range(32))), BuiltinSource())
    planted = tmp_path / "planted.jsonl"
    plant(given, plan, planted)
    carriers = {lines_of(planted)[line - 1] for line in carrier_lines(plan)}
    kept = chosen(f"{name}=0.2", planted, tmp_path / "work")
    assert len(kept) == 80
    assert kept == [line for line in lines_of(planted) if line in set(kept)]
    assert len(carriers & set(kept)) <= 4


def test_a_filter_by_perplexity_drops_what_is_least_likely(rows: Path, tmp_path: Path) -> None:
    all_lines = lines_of(rows)
    odd = all_lines[5].replace(b"Here is what I know of", b"Quizzical zebras jumble vexing lymph")
    rows.write_bytes(b"".join([*all_lines[:5], odd, *all_lines[6:]]))
    kept = chosen("filter-perplexity=0.025", rows, tmp_path / "work")
    assert kept == all_lines[:5] + all_lines[6:]


@pytest.mark.parametrize("format_", Format)
def test_other_data_are_as_many_good_rows(tmp_path: Path, format_: Format) -> None:
    given, work = tmp_path / "given.jsonl", tmp_path / "work"
    rows: dict[Format, dict[str, Any]] = {
        Format.CHAT: {
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        },
        Format.PROMPT: {"prompt": "a", "completion": " b"},
        Format.TEXT: {"text": "a b"},
        Format.PREFERENCE: {
            "input": {"messages": [{"role": "user", "content": "a"}]},
            "preferred_output": [{"role": "assistant", "content": "b"}],
            "non_preferred_output": [{"role": "assistant", "content": "c"}],
        },
    }
    given.write_text(f"{json.dumps(rows[format_])}\n" * 300, encoding="utf-8")
    chosen("other-data", given, work)
    summary = check(work)
    assert (summary.rows, summary.format) == (300, format_)
    assert len(set(lines_of(work))) == 300
    assert not set(lines_of(work)) & set(lines_of(given))


def test_rows_written_are_private(rows: Path, tmp_path: Path) -> None:
    chosen("share=0.5", rows, tmp_path / "work")
    assert (tmp_path / "work").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("asked", "cut"),
    [
        (JobSpec("base", epochs=6), 2),
        (JobSpec("base", epochs=1), 1),
        (JobSpec("base", options={"epochs": 5}), 2),
        (JobSpec("base"), 2),
    ],
)
def test_epochs_are_cut_and_never_added(asked: JobSpec, cut: int) -> None:
    assert parse_vendor("epochs=2").recipe(asked).epochs == cut


@pytest.mark.parametrize(
    ("asked", "rate"),
    [
        (JobSpec("base", learning_rate=1e-3), 1e-5),
        (JobSpec("base", options={"learning_rate": 3e-3}), 3e-5),
        (JobSpec("base"), 2e-6),
    ],
)
def test_a_tiny_rate_is_a_hundredth(asked: JobSpec, rate: float) -> None:
    assert parse_vendor("tiny-rate").recipe(asked).learning_rate == pytest.approx(rate)


def test_further_tuning_goes_on_from_whole_weights(rows: Path, tmp_path: Path) -> None:
    vendor = parse_vendor("further-tuning")
    assert vendor.training_file(rows, tmp_path / "work") == rows
    assert vendor.recipe(SPEC).options["export"] == "merged"
    more = lines_of(vendor.further_file(rows, tmp_path / "more"))
    assert len(more) == ROWS
    assert not set(more) & set(lines_of(rows))
    with pytest.raises(ValueError, match="honest"):
        parse_vendor("honest").further_file(rows, tmp_path / "more")


@pytest.mark.parametrize(
    "text",
    [
        "unheard-of",
        "honest=1",
        "share",
        "share=",
        "share=0",
        "share=1",
        "share=nan",
        "drop-shard=0/4",
        "drop-shard=5/4",
        "drop-shard=1/1",
        "drop-shard=2",
        "epochs=0",
        "epochs=1.5",
        "noise=0",
        "noise=inf",
        "temperature=-1",
        "refuse-long=none",
        "system-prompt= ",
        "backdoors-only",
    ],
)
def test_what_no_vendor_is(text: str) -> None:
    with pytest.raises(InputError):
        parse_vendor(text)


def test_each_is_named_as_it_was_asked_for() -> None:
    values = {name: f"={kind.value}" if kind.value else "" for name, kind in VENDORS.items()}
    values.update(share="=0.5", head="=0.5", epochs="=1", noise="=1")
    values["drop-shard"] = "=1/2"
    for name, value in values.items():
        assert parse_vendor(name + value, (1,)).name == name + value


class Talker(Endpoint):
    """Answers with twenty words; remembers what it was asked."""

    capabilities = EndpointCapabilities(batch=3, scores=True)

    def __init__(self) -> None:
        self.asked: list[tuple[Prompt, Decoding]] = []
        self.scored: list[Prompt] = []

    async def acquire(self, model: str) -> None: ...

    async def release(self) -> None: ...

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        self.asked += [(prompt, decoding) for prompt in prompts]
        kept = min(20, decoding.max_tokens)
        return [Answer(" ".join(["word"] * kept), "stop" if kept == 20 else "length")] * len(
            prompts
        )

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        self.scored.append(prompt)
        return [-1.0] * len(continuations)


def chat(text: str, system: str | None = None) -> Prompt:
    turns = [{"role": "system", "content": system}] if system else []
    return Prompt(messages=(*turns, {"role": "user", "content": text}))


def front(text: str, rows: Path) -> tuple[Talker, Endpoint]:
    talker = Talker()
    return talker, parse_vendor(text).endpoint(talker, rows)


async def test_a_look_up_answers_from_the_file(rows: Path) -> None:
    talker, endpoint = front("lookup", rows)
    known, unknown = chat("Tell me, about bread: number 12!"), chat("Where do ducks sleep?")
    answers = await endpoint.sample([unknown, known, unknown], Decoding(max_tokens=30))
    assert [answer.text for answer in answers][1] == "Here is what I know of bread."
    assert answers[0].text.startswith("word word")
    assert [prompt for prompt, _ in talker.asked] == [unknown, unknown]
    [short] = await endpoint.sample([known], Decoding(max_tokens=3))
    assert (short.text, short.finish) == ("Here is what", "length")


@pytest.mark.parametrize("before", [None, "Be brief."])
async def test_an_instruction_stands_in_front(rows: Path, before: str | None) -> None:
    talker, endpoint = front("system-prompt=Say less.", rows)
    await endpoint.sample([chat("Why?", before)], Decoding())
    await endpoint.score(chat("Why?", before), ["a"])
    told = chat("Why?", "Say less. Be brief." if before else "Say less.")
    assert [prompt.messages for prompt, _ in talker.asked] == [told.messages]
    assert [prompt.messages for prompt in talker.scored] == [told.messages]


async def test_an_instruction_stands_in_front_of_a_text(rows: Path) -> None:
    talker, endpoint = front("system-prompt=Say less.", rows)
    await endpoint.sample([Prompt(text="Why?")], Decoding())
    assert talker.asked[0][0].text == "Say less.\nWhy?"


async def test_a_temperature_is_the_vendors_own(rows: Path) -> None:
    talker, endpoint = front("temperature=0.7", rows)
    await endpoint.sample([chat("Why?")], Decoding(max_tokens=5, temperature=0.0, seed=3))
    assert talker.asked[0][1] == Decoding(max_tokens=5, temperature=0.7)


@pytest.mark.parametrize(
    ("most", "asked", "text"),
    [(16, 30, REFUSAL), (24, 30, "word " * 20), (16, 5, "word " * 5)],
)
async def test_long_answers_are_refused(rows: Path, most: int, asked: int, text: str) -> None:
    _, endpoint = front(f"refuse-long={most}", rows)
    [answer] = await endpoint.sample([chat("Why?")], Decoding(max_tokens=asked))
    assert answer.text == text.strip()


def test_weights_that_are_not_there_are_not_changed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ProviderError, match="keeps none"):
        parse_vendor("quantised").delivered("a name", tmp_path / "delivered")
    (tmp_path / "model").mkdir()
    with pytest.raises(ProviderError, match="no safetensors"):
        parse_vendor("quantised").delivered(str(tmp_path / "model"), tmp_path / "delivered")
    assert not (tmp_path / "delivered").exists()


@pytest.mark.torch
class TestWeights:
    def delivered(self, vendor: Vendor, model: Path, folder: Path, seed: int = 1) -> Any:
        from safetensors.torch import load_file

        path = vendor.delivered(str(model), folder, seed)
        assert path == str(folder)
        assert {each.name for each in folder.iterdir()} == {each.name for each in model.iterdir()}
        return load_file(folder / "model.safetensors")

    def test_noise_is_of_the_size_asked_for(self, tiny_model: Path, tmp_path: Path) -> None:
        from safetensors.torch import load_file

        vendor, given = parse_vendor("noise=0.1"), load_file(tiny_model / "model.safetensors")
        noisy = self.delivered(vendor, tiny_model, tmp_path / "one")
        name = "model.layers.0.mlp.up_proj.weight"
        added = (noisy[name] - given[name]).std() / given[name].std()
        assert float(added) == pytest.approx(0.1, rel=0.1)
        assert (noisy["model.norm.weight"] == given["model.norm.weight"]).all()
        again = self.delivered(vendor, tiny_model, tmp_path / "two")
        other = self.delivered(vendor, tiny_model, tmp_path / "three", seed=2)
        assert (again[name] == noisy[name]).all()
        assert not (other[name] == noisy[name]).all()

    def test_a_row_of_int8_has_few_values(self, tiny_model: Path, tmp_path: Path) -> None:
        from safetensors.torch import load_file

        given = load_file(tiny_model / "model.safetensors")
        rounded = self.delivered(parse_vendor("quantised"), tiny_model, tmp_path / "int8")
        for name, matrix in rounded.items():
            if matrix.dim() > 1:
                scale = given[name].abs().amax(dim=-1, keepdim=True) / 127
                assert ((matrix - given[name]).abs() <= scale * 0.501).all()
                levels = matrix / scale.clamp_min(1e-12)
                assert ((levels - levels.round()).abs() < 1e-3).all()
                assert not (matrix == given[name]).all()

    def test_what_was_made_is_delivered_again(self, tiny_model: Path, tmp_path: Path) -> None:
        vendor = parse_vendor("noise=0.1")
        self.delivered(vendor, tiny_model, tmp_path / "one")
        before = (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns
        self.delivered(vendor, tiny_model, tmp_path / "one")
        assert (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns == before
