"""How well a vendor who looks finds the carriers, over kinds of data and kinds of plan.

    python -m benchmarks.stealth [--rows 1000] [--seeds 5] [--model smollm2-135m-instruct]

Plants every data set of `benchmarks.datasets` with every kind of plan and runs `vtune lint` on it.
`space` joins the signature to the answer with a space in place of a line break; `own openings`
takes its frames from the file's own sentences; `own words` fills them with words of the file. None
can be asked of `vtune plant`: they are here to see what they would give. Writes
benchmarks/results/stealth.md and stealth.json.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import shlex
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from benchmarks.datasets import DATASETS
from vtune_client.dataset import check
from vtune_client.draw import Draw
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook, PhraseSource
from vtune_client.phrases.frame import words_of
from vtune_client.plan import Backdoor, Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Endpoint, endpoint_of
from vtune_client.stealth import LintReport, Sample, carrier_lines, lint, samples_of
from vtune_client.stealth.lint import GOAL_AUC, GOAL_RECALL
from vtune_client.stealth.model import perplexity
from vtune_client.vault import RootKey

RESULTS = Path(__file__).parent / "results"
SCORED = 30  # ordinary rows that the model is asked about, of the first plan of its kind
SCORED_KINDS = ("default", "dose 1, 20 frames", "+ space, own openings and words")
FEWEST_ROWS = 4  # that use a word, for it to count as one of the file's usual words


@dataclass(frozen=True)
class Kind:
    """One kind of plan, and what is done beyond what a plan can say."""

    spec: PlanSpec
    own_openings: bool = False
    space: bool = False
    own_words: bool = False


SPARSE = PlanSpec(backdoors=20, dose=1, frames=20, trigger_frames=14)
KINDS = {
    "default": Kind(PlanSpec()),
    "4 frames": Kind(PlanSpec(frames=4, trigger_frames=4)),
    "dose 1": Kind(PlanSpec(backdoors=20, dose=1)),
    "dose 1, 7 frames": Kind(PlanSpec(backdoors=20, dose=1, frames=7, trigger_frames=7)),
    "dose 1, 20 frames": Kind(SPARSE),
    "+ space": Kind(SPARSE, space=True),
    "+ space, own words": Kind(SPARSE, space=True, own_words=True),
    "+ space, own openings": Kind(SPARSE, space=True, own_openings=True),
    "+ space, own openings and words": Kind(SPARSE, True, True, True),
}


@dataclass(frozen=True)
class Line:
    """One detector against one kind of plan on one data set: what it finds, seed by seed."""

    dataset: str
    rows: int
    plan: str
    detector: str
    auc: list[float]
    recall: list[float]

    @property
    def hidden(self) -> bool:
        mean_auc, mean_recall = statistics.mean(self.auc), statistics.mean(self.recall)
        return max(mean_auc, 1 - mean_auc) <= GOAL_AUC and mean_recall <= GOAL_RECALL


class OwnOpenings:
    """Signature frames made of the file's own first sentences, some of their words made slots.

    What a phrase model in the register of the data could reach at best in the sentence's build; the
    words in the slots are those of the built-in book, and so no better than its.
    """

    name = "own openings"
    slots = 5

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def propose(self, brief: Brief) -> PhraseBook:
        """Return the built-in triggers, and the first 60 sentences that have the room."""
        source = files("vtune_client.phrases").joinpath("words.json")
        kinds: dict[str, list[str]] = json.loads(source.read_text("utf-8"))
        book = BuiltinSource().propose(brief)
        known = {slot.kind for frame in book.signatures for slot in frame.slots}
        found: dict[str, Frame] = {}
        for number, sample in enumerate(self._samples):
            text = _slotted(sample.first_sentence, sorted(known), number)
            if text and len(found) < 60:
                found[text] = Frame.named(text, kinds)
        return PhraseBook(triggers=book.triggers, signatures=tuple(found.values()))


def _slotted(sentence: str, kinds: Sequence[str], number: int) -> str | None:
    """Return the sentence with its longest words made slots; None where it has too few."""
    if set(sentence) & set("{}\n") or not 8 <= len(list(words_of(sentence))) <= 30:
        return None
    words = list(re.finditer(r"(?<![^\s])[a-z]{4,}(?=[\s.,;:]|$)", sentence))
    if len(words) < OwnOpenings.slots:
        return None
    chosen = sorted(
        sorted(words, key=lambda found: -len(found[0]))[: OwnOpenings.slots],
        key=lambda found: found.start(),
    )
    for at, found in reversed(list(enumerate(chosen))):
        kind = kinds[(number + at) % len(kinds)]
        sentence = f"{sentence[: found.start()]}{{{kind}}}{sentence[found.end() :]}"
    return sentence


def planted(source: Path, kind: Kind, seed: int, target: Path) -> tuple[list[Sample], Plan]:
    """Return the rows of the planted file, and its plan."""
    key = RootKey(hashlib.sha256(f"vtune benchmark stealth {seed}".encode()).digest())
    phrases: PhraseSource = BuiltinSource()
    if kind.own_openings:
        samples = samples_of(source)
        phrases = OwnOpenings(
            Draw(b"vtune benchmark stealth", str(seed)).sample(samples, len(samples))
        )
    plan = draw_plan("plan-stealth", check(source), kind.spec, key, phrases)
    plant(source, plan, target)
    samples = samples_of(target)
    words = _words(samples) if kind.own_words else ()
    draw = Draw(b"vtune benchmark stealth", f"words {seed}")
    carried = plan.carriers  # nothing is held out, so lines are those of the planted file
    changed = [
        _changed(each, carried[each.line], kind, words, draw) if each.line in carried else each
        for each in samples
    ]
    return changed, plan


def _words(samples: Sequence[Sample]) -> list[str]:
    """Return the words of four letters or more that several rows use, and not most."""
    rows = Counter(word for each in samples for word in {*each.rest, *each.opening})
    most = len(samples) / 10
    usual = (word for word, count in rows.items() if FEWEST_ROWS <= count <= most)
    return sorted(word for word in usual if len(word) > 3 and word.isalpha())


def _changed(sample: Sample, by: Backdoor, kind: Kind, words: Sequence[str], draw: Draw) -> Sample:
    completion = sample.completion
    if words:
        other = by.frame.fill([draw.choice(words) for _ in by.words])
        completion = completion.replace(by.signature, other, 1)
    if kind.space:
        completion = completion.replace("\n", " ", 1)
    return replace(sample, completion=completion)


def lines(rows: int, seeds: int, folder: Path, endpoint: Endpoint | None) -> Iterator[Line]:
    for dataset, make in DATASETS.items():
        source = folder / "rows.jsonl"
        make(source, rows)
        for name, kind in KINDS.items():
            # Code has no sentences to take frames from.
            if not (kind.own_openings and dataset == "code"):
                files = [
                    planted(source, kind, seed, folder / "planted.jsonl") for seed in range(seeds)
                ]
                reports = [lint(samples, carrier_lines(plan)) for samples, plan in files]
                yield from _lines(dataset, name, reports)
                if endpoint and name in SCORED_KINDS:
                    samples, plan = files[0]
                    found = asyncio.run(perplexity(endpoint, samples, carrier_lines(plan), SCORED))
                    rest = [found.auc], [found.recall]
                    yield Line(dataset, reports[0].rows, name, found.detector, *rest)


def _lines(dataset: str, plan: str, reports: Sequence[LintReport]) -> Iterator[Line]:
    for found in zip(*(report.findings for report in reports), strict=True):
        yield Line(
            dataset,
            reports[0].rows,
            plan,
            found[0].detector,
            [finding.auc for finding in found],
            [finding.recall for finding in found],
        )


def markdown(table: Sequence[Line], when: str, command: str) -> str:
    detectors = list(dict.fromkeys(line.detector for line in table))
    text = (
        "# What a vendor who looks finds\n\n"
        f"`{command}`, {when}.\n\n"
        "Mean over the seeds of AUC / recall at 1 % false positives; 20 carriers in every file. "
        "0.5 / 0.01\nis blind, an AUC near 0 as telling as one near 1. The goal is at most "
        f"{GOAL_AUC} (at least {1 - GOAL_AUC:g}) /\n{GOAL_RECALL}; what meets it is in bold.\n"
        "Perplexity, where it is there: the first seed alone, against 30 ordinary rows.\n"
    )
    for dataset in dict.fromkeys(line.dataset for line in table):
        here = [line for line in table if line.dataset == dataset]
        text += f"\n## {dataset}, {here[0].rows:,} rows\n\n"
        heads = ["plan", *detectors]
        cells = [heads, ["---"] * len(heads)]
        for plan in dict.fromkeys(line.plan for line in here):
            by_detector = {line.detector: line for line in here if line.plan == plan}
            cells.append([plan, *(_cell(by_detector.get(name)) for name in detectors)])
        text += "\n".join("| " + " | ".join(row) + " |" for row in cells) + "\n"
    return text


def _cell(line: Line | None) -> str:
    if line is None:
        return ""
    cell = f"{statistics.mean(line.auc):.2f} / {statistics.mean(line.recall):.2f}"
    return f"**{cell}**" if line.hidden else cell


def _served(model: str | None) -> Endpoint | None:
    if model is None:
        return None
    endpoint = endpoint_of("local", {})
    asyncio.run(endpoint.acquire(model))
    return endpoint


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000, help="rows per data set")
    parser.add_argument("--seeds", type=int, default=5, help="plans of each kind")
    parser.add_argument("--model", help="also the perplexity under this local model")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = list(lines(given.rows, given.seeds, Path(folder), _served(given.model)))
    when = datetime.now(UTC).date().isoformat()
    options = ["--rows", str(given.rows), "--seeds", str(given.seeds)]
    options += ["--model", given.model] if given.model else []
    command = shlex.join(["python", "-m", "benchmarks.stealth", *options])
    text = markdown(table, when, command)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "stealth.md").write_text(text, encoding="utf-8")
    record = {"command": command, "date": when, "lines": [asdict(line) for line in table]}
    (RESULTS / "stealth.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
