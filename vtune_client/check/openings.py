"""What was counted and ranked, computed again from opened secrets and the answers about them.

A leaf that does not open the commitment, or an answer that is not the one whose digest was signed,
is worth nothing. Of what is left closed, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtune_client.asking import answer_of
from vtune_client.attestation import Predicate, Reveal
from vtune_client.check.findings import Finding, guarded, left_open, refuted, told
from vtune_client.check.numbers import anytime_of, matches_of
from vtune_client.commitment import (
    BACKDOOR,
    DRAWS,
    ROWS,
    backdoor_of,
    item_digest,
    leaf_hash,
    openings,
    root_key_hash,
    streams_of,
)
from vtune_client.dataset import Format
from vtune_client.draw import Streams
from vtune_client.evidence import gain
from vtune_client.plan import Plan, PlanSpec, lineup
from vtune_client.probe import probes_of
from vtune_client.provider import Answer
from vtune_client.readings import OVER_BASE, TEXT, candidates_ranked, ranks_of, results_of, slots_of
from vtune_client.vault import RootKey

Data = Mapping[str, Any]


def spec_of(document: Data) -> PlanSpec:
    """Return what was chosen about the plan, from its commitment."""
    spec = dict(document["spec"])
    return PlanSpec(**{**spec, "doses": tuple(spec["doses"]) if spec["doses"] else None})


def opened_plan(stated: Predicate, leaves: Mapping[int, Data]) -> Plan:
    """Return a plan of the backdoors that these leaves open, in their order, the first of which has
    its true number. Its files are not known to it."""
    document = stated.commitment
    backdoors = tuple(backdoor_of(leaf) for leaf in leaves.values())
    return Plan(
        id=document["plan"],
        spec=spec_of(document),
        source_sha256=document["source_sha256"],
        rows=0,
        format=Format.CHAT,
        phrases=document["phrases"],
        backdoors=backdoors,
        held_out=(),
        first=min(leaves, default=0),
    )


def check_reveal(stated: Predicate, reveal: Reveal) -> Iterator[Finding]:
    """Compare what is opened with the commitment, the transcript and the counts."""
    same = (
        reveal.commitment_sha256 == stated.commitment_sha256
        and reveal.verification == stated.verdict["id"]
    )
    yield told(
        "the reveal file",
        same,
        "It belongs to this statement.",
        "It belongs to another verification or another commitment.",
    )
    leaves = _numbered(reveal)
    for number, leaf in leaves.items():
        yield from guarded(f"leaf {number}", _leaf, stated, number, leaf)
    good, rows_leaf = opened_leaves(stated, reveal)
    yield from guarded("the transcript", _transcript, stated, reveal)
    for number, leaf in good.items():
        yield from guarded(
            f"backdoor {number + 1}",
            _Opened(stated, reveal, number, leaf).findings,
        )
    closed = [n for n in asked_numbers(stated) if n not in good]
    if closed:
        yield left_open(
            "closed backdoors",
            f"{len(closed)} of the backdoors asked about were not opened: their counts are as the "
            "auditor states them.",
        )
    if rows_leaf:
        yield from guarded("the rows", _rows, stated, reveal, rows_leaf)
    if reveal.root_key:
        yield from guarded("the root key", _root_key, stated, reveal, leaves)


def asked_numbers(stated: Predicate) -> range:
    """Return the numbers, in the whole plan, of the backdoors that were asked about."""
    document, first = stated.commitment, stated.verdict["first"]
    asked = document["backdoors"] - document["reserve"]
    return range(first, document["backdoors"] if first else asked)


def opened_leaves(stated: Predicate, reveal: Reveal) -> tuple[dict[int, Data], Data | None]:
    """Return the leaves of backdoors that open the commitment, by number and in order, and that of
    the rows if it does."""
    good = {n: leaf for n, leaf in _numbered(reveal).items() if _opens(stated, n, leaf)}
    rows = good.pop(len(stated.leaves) - 1, None)
    good.pop(len(stated.leaves) - 2, None)
    return good, rows


def _numbered(reveal: Reveal) -> dict[int, Data]:
    return dict(sorted((int(number), leaf) for number, leaf in reveal.leaves.items()))


def _opens(stated: Predicate, number: int, leaf: Data) -> bool:
    if not 0 <= number < len(stated.leaves):
        return False
    backdoors = stated.commitment["backdoors"]
    kind = BACKDOOR if number < backdoors else (DRAWS, ROWS)[number - backdoors]
    numbered = leaf["number"] == number if kind == BACKDOOR else True
    return leaf["kind"] == kind and numbered and leaf_hash(leaf) == stated.leaves[number]


def _leaf(stated: Predicate, number: int, leaf: Data) -> Iterator[Finding]:
    if not _opens(stated, number, leaf):
        yield refuted(
            f"leaf {number}",
            "What the reveal file opens here is not what was committed to before the job.",
        )


def _transcript(stated: Predicate, reveal: Reveal) -> Iterator[Finding]:
    wrong = [
        item
        for item, opened in reveal.items.items()
        if item_digest(item, opened.value, bytes.fromhex(opened.salt))
        != stated.transcript.get(item)
    ]
    yield told(
        "the transcript",
        not wrong,
        f"{len(reveal.items)} of {len(stated.transcript)} answers and scores are those whose "
        "digests were signed.",
        f"{len(wrong)} answers or scores are not those whose digests were signed: "
        f"{', '.join(wrong[:4])}.",
    )


@dataclass(frozen=True)
class _Opened:
    """One backdoor, opened."""

    stated: Predicate
    reveal: Reveal
    number: int
    leaf: Data

    def findings(self) -> Iterator[Finding]:
        """Compare its answers and scores with the counts of the verdict."""
        what, asked = f"backdoor {self.number + 1}", asked_numbers(self.stated)
        if self.number not in asked:
            yield left_open(what, "It was not asked about in this verification.")
            return
        index = self.number - asked.start
        plan = opened_plan(self.stated, {self.number: self.leaf})
        streams = Streams(streams_of(self.leaf))
        answers = self._answers(plan, index)
        missing = len(probes_of(plan)) - len(answers)
        if missing and not self._stopped_early:
            yield refuted(what, f"{missing} of its answers are not in the reveal file.")
            return
        wrong = [
            *self._wrong_counts(plan, index, answers),
            *self._wrong_ranks(plan, index, streams),
            *self._wrong_candidates(plan, index, answers, streams),
        ]
        yield told(
            what,
            not wrong,
            f"Its {len(answers)} answers, read anew, give the matches stated"
            f"{', and its scores the rank stated' if self._tests_ranks else ''}.",
            f"Read anew, {' and '.join(wrong)} are not those stated.",
        )

    @property
    def _tests(self) -> dict[str, Data]:
        return {test["name"]: test for test in self.stated.verdict["tests"]}

    @property
    def _stopped_early(self) -> bool:
        return "slots" not in self._tests

    @property
    def _tests_ranks(self) -> Data | None:
        found = (test for name, test in self._tests.items() if name.startswith("ranks"))
        return next(found, None)

    def _answers(self, plan: Plan, index: int) -> dict[str, Answer]:
        """Return its answers under the names that a plan of this backdoor alone gives them."""
        items = {probe.item: f"answer {index}.{probe.number}" for probe in probes_of(plan)}
        return {
            own: answer_of(self.reveal.items[item].value)
            for own, item in items.items()
            if item in self.reveal.items
        }

    def _wrong_counts(self, plan: Plan, index: int, answers: Mapping[str, Answer]) -> Iterator[str]:
        probes = [probe for probe in probes_of(plan) if probe.item in answers]
        anytime = anytime_of(self.stated.verdict)
        read = [list(each) for each in results_of(plan, probes, answers)]
        if read != [list(each) for each in matches_of(anytime)[index]]:
            yield "the matches, question by question,"
        layout = self.stated.verdict["layout"]
        if layout and layout["shards"][index] != self.leaf["shard"]:
            yield "the shard that holds its carriers"
        frame, stakes = plan.backdoors[0].frame, anytime.stakes[index]
        sizes = tuple(len(slot.candidates) for slot in frame.slots)
        if (stakes.slot_sizes, stakes.prompts) != (sizes, len(probes_of(plan))):
            yield "the sizes of the slots or the number of questions"
        if self._stopped_early:
            return
        slots, found = self._tests["slots"], slots_of(plan, probes, answers)
        here = [list(found.slot_sizes[0]), found.answers[0], found.matched[0]]
        names = ("slot_sizes", "answers", "matched")
        if here != [slots[name][index] for name in names]:
            yield "the counts of the slots"

    def _wrong_ranks(self, plan: Plan, index: int, streams: Streams) -> Iterator[str]:
        if self._tests_ranks is None:
            return
        _, place = lineup(plan, 0, streams)
        rows = [self._scores("delivered", index, place)]
        over = self._tests_ranks["name"] == "ranks over the base"
        base = [self._scores("base", index, place)] if over else None
        found = ranks_of(plan, rows, base, streams)
        stated = (self._tests_ranks["ranks"][index], self._tests_ranks["decoys"][index])
        if (found.ranks[0], found.decoys[0]) != stated:
            yield "the rank of its signature or the number of decoys"

    def _scores(self, who: str, index: int, place: int) -> Sequence[float]:
        found = self.reveal.items[f"scores {who} {index}"].value
        return [found[place], *found[:place], *found[place + 1 :]]

    def _wrong_candidates(
        self, plan: Plan, index: int, answers: Mapping[str, Answer], streams: Streams
    ) -> Iterator[str]:
        if "candidates" not in self._tests:
            return
        found, stated = candidates_ranked(plan, answers, streams), self._tests["candidates"]
        sizes = anytime_of(self.stated.verdict).stakes
        before = sum(size > 1 for stakes in sizes[:index] for size in stakes.slot_sizes)
        count = sum(size > 1 for size in sizes[index].slot_sizes)
        here = slice(before, before + count)
        if (
            list(found.ranks) != stated["ranks"][here]
            or list(found.decoys) != stated["decoys"][here]
        ):
            yield "the ranks among listed candidates"


def _rows(stated: Predicate, reveal: Reveal, leaf: Data) -> Iterator[Finding]:
    rows = stated.verdict["rows"]
    if not rows:
        yield left_open("the rows", "This verification asked about no rows.")
        return
    labels = [[line, line not in leaf["held_out"]] for line, _ in leaf["asked"]]
    same = labels == leaf["asked"]
    same = same and [label for _, label in leaf["asked"]] == [row[0] for row in rows["scores"]]
    yield told(
        "the labels of the rows",
        same,
        f"The {len(labels)} rows asked about, and which of them were withheld, were committed to.",
        "The rows asked about, or which of them were withheld, are not those committed to.",
    )
    if rows["kind"] == TEXT:
        return  # the user's file is needed: see `files`
    wrong = [
        number
        for number, (_, score, length) in enumerate(rows["scores"])
        if _row_gain(reveal, number, length, rows["kind"]) != score
    ]
    yield told(
        "the scores of the rows",
        not wrong,
        "Every row's score follows from the log-probabilities that were received.",
        f"The scores of {len(wrong)} rows are not what was received for them.",
    )


def _row_gain(reveal: Reveal, number: int, length: int, kind: str) -> float:
    delivered = reveal.items[f"row {number} scored delivered"].value
    base = reveal.items[f"row {number} scored base"].value if kind == OVER_BASE else 0.0
    return gain(delivered, length, base)


def _root_key(stated: Predicate, reveal: Reveal, leaves: Mapping[int, Data]) -> Iterator[Finding]:
    key = RootKey(bytes.fromhex(reveal.root_key or ""))
    if root_key_hash(key) != stated.commitment["root_key"]:
        yield refuted("the root key", "It is not the one that was committed to.")
        return
    backdoors = {n: leaf for n, leaf in leaves.items() if n < stated.commitment["backdoors"]}
    if list(backdoors) != list(range(stated.commitment["backdoors"])):
        yield left_open("the root key", "It is the one committed to; not every leaf is opened.")
        return
    again = openings(opened_plan(stated, backdoors), key)[: len(backdoors)]
    same = all(
        (leaf["streams"], leaf["salt"]) == (backdoors[n]["streams"], backdoors[n]["salt"])
        for n, leaf in enumerate(again)
    )
    yield told(
        "the root key",
        same,
        "It is the one committed to, and every draw about the answers follows from it.",
        "Draws about the answers do not follow from it.",
    )
