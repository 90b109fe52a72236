"""How well a vendor who looks finds the carriers, over kinds of data and kinds of plan.

    python -m benchmarks.stealth [--rows 1000] [--seeds 5] [--model smollm2-135m-instruct]

Plants every data set of `benchmarks.datasets` with every kind of plan and runs `vtune lint` on it,
with three more detectors, made against frames that are the file's own sentences. Writes
benchmarks/results/stealth.md and stealth.json.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import shlex
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.datasets import DATASETS
from vtune_client.dataset import check
from vtune_client.draw import Draw
from vtune_client.phrases import BuiltinSource
from vtune_client.phrases.own import own_book
from vtune_client.phrases.seam import Seam
from vtune_client.phrasing import KEEP, LEAST
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Endpoint, endpoint_of
from vtune_client.stealth import DETECTORS, LintReport, Sample, carrier_lines, lint, samples_of
from vtune_client.stealth.detectors import KnownFrames
from vtune_client.stealth.lint import GOAL_AUC, GOAL_RECALL
from vtune_client.stealth.model import perplexity
from vtune_client.vault import RootKey

RESULTS = Path(__file__).parent / "results"
SCORED = 30  # ordinary rows that the model is asked about, of the first plan of its kind
SCORED_KINDS = ("default", "20 frames", "stealthy")
SPARSE = PlanSpec(backdoors=20, dose=1)
FRAMES = replace(SPARSE, frames=20, trigger_frames=14)
KINDS = {
    "default": PlanSpec(),
    "default, chosen frames": PlanSpec(choose_frames=True),
    "dose 1": SPARSE,
    "20 frames": FRAMES,
    "6 chosen frames": replace(SPARSE, frames=6, trigger_frames=3, choose_frames=True),
    "20 frames, usual words": replace(FRAMES, usual_words=True),
    "20 frames, join by the file": replace(FRAMES, join="auto"),
    "own phrases, join by the file": PlanSpec.stealthy(choose_frames=False),
    "stealthy": PlanSpec.stealthy(),
    "stealthy, chosen rows": PlanSpec.stealthy(choose_rows=True),
    "stealthy, 5 backdoors of dose 4": PlanSpec.stealthy(backdoors=5, dose=4),
}
READ = ("default", "stealthy")
# What holds whatever the numbers are; the rest of the reading is made of them.
NOTES = """\
Built-in frames are public: who has this package finds them as they stand, and nothing but other
frames helps (known frames, 1.00). A stealthy plan makes frames of the file's own sentences, two
halves of different ones each; which halves go together is drawn from the key, so who runs the
planner on the planted file ("frames anew") gets others, but for prompts made to a few patterns:
there all frames of triggers are his, too. A backdoor of several carriers repeats its sentence word
for word, whatever it is made of: only dose 1 hides that. Where answers are code, an opening that
names nothing of the question stands out.
"""


class NearCopies:
    """How much of a sentence at the seam another row says in the same places.

    Frames made of the file's own sentences fill some places of one anew: the sentence they were
    made of is still in the file.
    """

    name = "near copies"
    looks_for = "sentences that are another row's but for a few words"
    advice = "Use frames of another source (--phrases-url)."

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        openings = _nearness([sample.opening for sample in samples])
        closings = _nearness([sample.closing for sample in samples])
        return [sum(pair) for pair in zip(openings, closings, strict=True)]


class Spliced:
    """How much of an opening other rows say, one in its beginning and one in its end.

    Made against frames spliced from two of the file's own sentences, by who knows the rule and not
    the key: places are compared from either end, up to any place in between.
    """

    name = "spliced halves"
    looks_for = "openings that begin as one row's and end as another's but for a few words"
    advice = NearCopies.advice

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        openings = [sample.opening for sample in samples]
        heads = _halves(openings)
        tails = _halves([opening[::-1] for opening in openings])
        return [
            max(head[at] + tail[len(opening) - at] for at in range(len(opening) + 1))
            / max(1, len(opening))
            for opening, head, tail in zip(openings, heads, tails, strict=True)
        ]


def _halves(openings: Sequence[tuple[str, ...]]) -> list[list[int]]:
    """Return for each opening and each length of a beginning of it how many places of that another
    opening fills alike, at most."""
    import numpy

    longest = max(map(len, openings))
    numbers = {word: at for at, word in enumerate({word for each in openings for word in each})}
    table = numpy.full((len(openings), longest), -1)
    for row, opening in enumerate(openings):
        table[row, : len(opening)] = [numbers[word] for word in opening]
    found = []
    for row, opening in enumerate(openings):
        alike = table == table[row]
        others = alike[~alike.all(axis=1)][:, : len(opening)]
        found.append([0, *map(int, others.cumsum(axis=1).max(axis=0, initial=0))])
    return found


class FramesAnew:
    """Makes frames of the planted file by the planner's own rules, and looks for them."""

    name = "frames anew"
    looks_for = "sentences of the frames that the planner makes of this file"
    advice = NearCopies.advice

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        seams = [Seam(sample.prompt, sample.completion) for sample in samples]
        draw = Draw(b"vtune benchmark stealth", "a vendor without the key")
        book = own_book(seams, "\n", draw, keep=KEEP, min_candidates=LEAST)
        return KnownFrames(book).scores(samples)


def _nearness(sentences: Sequence[tuple[str, ...]]) -> list[float]:
    """Return for each sentence the largest share of its places that a different one of as many
    words fills alike."""
    by_length: defaultdict[int, set[tuple[str, ...]]] = defaultdict(set)
    for sentence in sentences:
        by_length[len(sentence)].add(sentence)
    nearest = {
        one: max((_alike(one, other) for other in alike if other != one), default=0.0)
        for alike in by_length.values()
        for one in alike
    }
    return [nearest[sentence] for sentence in sentences]


def _alike(one: Sequence[str], other: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / max(1, len(one))


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


LOOKING = (*DETECTORS, NearCopies(), Spliced(), FramesAnew())


def planted(source: Path, spec: PlanSpec, seed: int, target: Path) -> tuple[list[Sample], Plan]:
    """Return the rows of the planted file, and its plan."""
    key = RootKey(hashlib.sha256(f"vtune benchmark stealth {seed}".encode()).digest())
    plan = draw_plan("plan-stealth", check(source), spec, key, BuiltinSource())
    plant(source, plan, target)
    return samples_of(target), plan


def lines(rows: int, seeds: int, folder: Path, endpoint: Endpoint | None) -> Iterator[Line]:
    for dataset, make in DATASETS.items():
        source = folder / "rows.jsonl"
        make(source, rows)
        for name, spec in KINDS.items():
            files = [planted(source, spec, seed, folder / "planted.jsonl") for seed in range(seeds)]
            reports = [
                lint(
                    samples,
                    carrier_lines(plan),
                    (*DETECTORS, NearCopies(), Spliced(), FramesAnew()),
                )
                for samples, plan in files
            ]
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
    return f"{text}\n## Reading\n\n{NOTES}\n{reading(table)}"


def reading(table: Sequence[Line]) -> str:
    """Return what meets the goal and what misses it, a line for each data set and plan of READ."""
    text = ""
    for dataset in dict.fromkeys(line.dataset for line in table):
        for plan in READ:
            here = [line for line in table if (line.dataset, line.plan) == (dataset, plan)]
            if not here:
                continue
            missed = ", ".join(f"{line.detector} {_cell(line)}" for line in here if not line.hidden)
            met = sum(line.hidden for line in here)
            most = max(statistics.mean(line.recall) for line in here)
            text += (
                f"- {dataset}, {plan}: the goal is met against {met} of {len(here)} detectors; "
                f"missed: {missed or 'none'}. The most that one finds at 1 % false positives is "
                f"{most:.0%}.\n"
            )
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
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = list(lines(given.rows, given.seeds, Path(folder), _served(given.model)))
    when = datetime.now(UTC).date().isoformat()
    options = ["--rows", str(given.rows), "--seeds", str(given.seeds)]
    options += ["--model", given.model] if given.model else []
    command = shlex.join(["python", "-m", "benchmarks.stealth", *options])
    text = markdown(table, when, command)
    given.results.mkdir(exist_ok=True)
    (given.results / "stealth.md").write_text(text, encoding="utf-8")
    record = {"command": command, "date": when, "lines": [asdict(line) for line in table]}
    (given.results / "stealth.json").write_text(
        json.dumps(record, indent=2) + "\n", encoding="utf-8"
    )
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
