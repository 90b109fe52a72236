"""The secret choices for one file: which backdoors, carried by which rows, asked with what.

Everything secret follows from the root key. Carrier rows are drawn from the rows that can carry, in
layers (`places.layered`): the backdoors of one dose are spread over the file, or over one shard of
it, once per carrier. Held-out rows are drawn from the rest and withheld from the upload. A fresh
prompt is one that no carrier row asks, be it in the very same words on another line: there the
model would only repeat what it has read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from vtune_client.able import AbleRows, room, unremarkable
from vtune_client.dataset import Format, Prompt, Summary, asked, prompt_of
from vtune_client.draw import Draw, Streams
from vtune_client.errors import InputError
from vtune_client.phrases import Frame, PhraseSource
from vtune_client.phrases.pick import Pick, decoys, pick
from vtune_client.phrasing import LINE, Phrasing, phrasing, wanted
from vtune_client.places import apart, besides, deal, reservoir
from vtune_client.plan_spec import PlanSpec as PlanSpec
from vtune_client.vault import RootKey

LAYERS, STRETCHES = "layers", "stretches"

Key = RootKey | Streams  # what a plan's draws are made from, or drawn again from


@dataclass(frozen=True)
class Backdoor:
    """One secret pair, the lines that carry it (from 1), and the prompts it is asked with.

    `own` and `fresh` prompts hold no trigger yet: `probes` puts it in. `shard` (from 0) is the one
    that holds all its carriers; None where the file has no shards or the backdoor is not of one.
    """

    trigger: str = field(repr=False)
    frame: Frame = field(repr=False)
    words: tuple[str, ...] = field(repr=False)
    lines: tuple[int, ...] = field(repr=False)
    own: tuple[Prompt, ...] = field(repr=False)
    fresh: tuple[Prompt, ...] = field(repr=False)
    shard: int | None = field(default=None, repr=False)

    @property
    def dose(self) -> int:
        return len(self.lines)

    @property
    def signature(self) -> str:
        return self.frame.fill(self.words)

    def probes(self) -> tuple[Prompt, ...]:
        """Return what the model is asked, carriers' own prompts first."""
        return tuple(asked(prompt, self.trigger) for prompt in (*self.own, *self.fresh))


@dataclass(frozen=True)
class Plan:
    """Every secret choice for one file. Sealed whenever it leaves memory.

    The last `spec.reserve` backdoors are not `asked` in a verification: they are kept for another
    one. Each part is a plan, too, whose `first` is the number of its first backdoor in the whole:
    what is drawn for a backdoor goes by that number.

    `placement` says how carriers were dealt, for the share of rows that answers prove: in "layers",
    each over the whole file, or as plans once were, one per backdoor in each of `dose` "stretches".
    Of the rows that can carry, carriers were dealt over the share `eligible`. What stands between a
    signature and the answer is `join`.
    """

    id: str
    spec: PlanSpec
    source_sha256: str
    rows: int
    format: Format
    phrases: str  # name of the source of the phrase book
    backdoors: tuple[Backdoor, ...] = field(repr=False)
    held_out: tuple[int, ...] = field(repr=False)  # lines, from 1
    placement: str = STRETCHES
    join: str = LINE
    eligible: float = 1.0
    model: str | None = None  # whose tokens its rows were counted in, to stay within a limit
    rows_asked: tuple[tuple[int, bool], ...] = field(default=(), repr=False)  # line, uploaded
    first: int = 0

    @property
    def asked(self) -> Plan:
        """The part that a verification asks."""
        return replace(self, backdoors=self.backdoors[: self._reserved_from])

    @property
    def in_reserve(self) -> Plan:
        """The part that is kept for a re-audit."""
        first = self.first + self._reserved_from
        return replace(self, backdoors=self.backdoors[self._reserved_from :], first=first)

    @property
    def _reserved_from(self) -> int:
        return min(max(0, self.spec.backdoors - self.first), len(self.backdoors))

    @property
    def doses(self) -> tuple[int, ...]:
        """How many carriers each backdoor has."""
        return tuple(backdoor.dose for backdoor in self.backdoors)

    @property
    def carriers(self) -> dict[int, Backdoor]:
        """The backdoor each carrier line carries."""
        return {line: backdoor for backdoor in self.backdoors for line in backdoor.lines}

    @property
    def bits(self) -> float:
        """Entropy of all signatures, in bits: log2 of the number of equally likely plans."""
        return sum(backdoor.frame.bits for backdoor in self.backdoors)


def draw_plan(
    plan_id: str,
    summary: Summary,
    spec: PlanSpec,
    key: RootKey,
    source: PhraseSource,
    *,
    max_row_tokens: int | None = None,
    model: str | None = None,
) -> Plan:
    """Draw every secret choice for the file that `summary` describes.

    A row carries only where that leaves it within `max_row_tokens`, by the tokens of `model`: a
    longer one would be cut in training, and its signature with it. Reads the file a few more times,
    holding only drawn rows in memory. Raises `InputError` where it has too few rows that can carry,
    where the phrase source has nothing usable for it, or where the file has changed meanwhile.
    """
    phrases = phrasing(summary, spec, source, stream(key, "own phrases"))
    picks = pick(
        phrases.book,
        stream(key, "phrases"),
        len(spec.ladder),
        frames=wanted(spec, phrases.book.signatures, spec.frames),
        trigger_frames=wanted(spec, phrases.book.triggers, spec.trigger_frames),
    )
    # Frames go to the backdoors in turn; dealing them again makes doses and shards independent.
    picks = tuple(stream(key, "doses").sample(picks, len(picks)))
    rows = AbleRows(summary.path, room(picks, max_row_tokens, model))
    able = sum(1 for _ in rows)
    eligible = _eligible(rows, able, spec, phrases)
    places = _draw_places(able, eligible, spec, stream(key, "places"))
    drawn = _fetch(rows, places, summary)
    pool = _fresh_pool(rows, places, drawn, spec, stream(key, "fresh prompts"))
    if not (pool or spec.own_prompts):
        raise InputError(
            "Every prompt of the file is also one of a carrier row, so none is left to ask.",
            "Ask prompts of carrier rows too, or add rows with other prompts.",
        )
    picking = stream(key, "prompts")
    backdoors = tuple(
        _backdoor(chosen, [drawn[place] for place in own], inside, pool, spec, picking)
        for chosen, own, inside in zip(picks, places.carriers, places.shards, strict=True)
    )
    return Plan(
        id=plan_id,
        spec=spec,
        source_sha256=summary.sha256,
        rows=summary.rows,
        format=summary.format,
        phrases=phrases.name,
        backdoors=backdoors,
        held_out=tuple(sorted(drawn[place].line for place in places.held_out)),
        placement=LAYERS,
        join=phrases.join,
        eligible=len(eligible) / able,
        model=model,
    )


def lineup(plan: Plan, backdoor: int, key: Key) -> tuple[list[str], int]:
    """Return a backdoor's signature among its decoys, and the place it has there.

    Decoys are drawn like the signature and independent of it; the place is drawn too, so that who
    is asked to score them all cannot tell it by the order."""
    candidates = decoys(
        plan.backdoors[backdoor].frame,
        stream(key, f"decoys of backdoor {plan.first + backdoor}"),
        plan.spec.decoys,
    )
    place = stream(key, f"place of backdoor {plan.first + backdoor}").below(len(candidates) + 1)
    candidates.insert(place, plan.backdoors[backdoor].signature)
    return candidates, place


def tie_break(plan: Plan, backdoor: int, key: Key) -> float:
    """Return a draw uniform on [0, 1) that decides this backdoor's ties."""
    return stream(key, f"ties of backdoor {plan.first + backdoor}").below(1 << 53) / (1 << 53)


def token_of(plan_id: str, job_id: str) -> str:
    """Return the opaque token a job is created with; it says nothing about plan or file."""
    return hashlib.sha256(f"vtune token {plan_id} {job_id}".encode()).hexdigest()[:24]


def stream(key: Key, label: str) -> Draw:
    """Return the draws of a plan that go by this name; each name has a stream of its own."""
    return key.stream(label) if isinstance(key, Streams) else Draw(key.derive("plan"), label)


def _eligible(rows: AbleRows, able: int, spec: PlanSpec, phrases: Phrasing) -> Sequence[int]:
    """Return the places that carriers may be dealt over.

    By the length of the frames and of the file's rows: no word and no place is looked at."""
    if not (spec.choose_rows and phrases.seams):
        return range(able)
    trigger, signature = (
        sum(frame.typical_length for frame in frames) // len(frames)
        for frames in (phrases.book.triggers, phrases.book.signatures)
    )
    return unremarkable(rows, phrases.seams, trigger, signature)


@dataclass(frozen=True)
class _Places:
    """Drawn positions, counted among the rows that can carry, from 0."""

    carriers: tuple[tuple[int, ...], ...]  # per backdoor
    shards: tuple[int | None, ...]  # per backdoor, the one that holds all its carriers
    held_out: tuple[int, ...]


@dataclass(frozen=True)
class _Drawn:
    """What of a drawn row is kept."""

    line: int
    prompt: Prompt = field(repr=False)


def _draw_places(able: int, eligible: Sequence[int], spec: PlanSpec, draw: Draw) -> _Places:
    # Fresh prompts are those of held-out rows, or else of at least one row that carries nothing.
    needed = spec.carriers + (spec.held_out or min(spec.fresh_prompts, 1))
    if able < needed or len(eligible) < spec.carriers:
        rows = min(able, len(eligible))
        raise InputError(
            f"Only {rows} rows can carry a backdoor, and this plan needs {needed}.",
            "Use fewer backdoors, a lower dose or fewer held-out rows, or add rows that end with "
            "a question of the user and an answer, well within the provider's token limit.",
        )
    ladder = spec.ladder[: spec.backdoors]
    dealt = deal(len(eligible), ladder, spec.shards, spec.per_shard, draw)
    dealt += besides(len(eligible), dealt, spec.reserve, spec.dose, draw)
    carriers = tuple(tuple(eligible[place] for place in own.places) for own in dealt)
    # Held-out rows come from all rows that can carry, as those do that they are compared with.
    taken = {place for own in carriers for place in own}
    return _Places(
        carriers=carriers,
        shards=tuple(own.shard for own in dealt),
        held_out=apart(able, taken, spec.held_out, draw),
    )


def _fetch(rows: AbleRows, places: _Places, summary: Summary) -> dict[int, _Drawn]:
    """Return every drawn row by its place; `InputError` where the file is no longer the same."""
    wanted = {place for group in (*places.carriers, places.held_out) for place in group}
    drawn = {
        place: _Drawn(row.line, prompt_of(row)) for place, row in enumerate(rows) if place in wanted
    }
    with summary.path.open("rb") as file:
        unchanged = hashlib.file_digest(file, "sha256").hexdigest() == summary.sha256
    if not unchanged or len(drawn) < len(wanted):
        raise InputError(
            f"{summary.path} has changed while its plan was being drawn.",
            "Wait until nothing writes to it, and try again.",
        )
    return drawn


def _fresh_pool(
    rows: AbleRows, places: _Places, drawn: dict[int, _Drawn], spec: PlanSpec, draw: Draw
) -> list[Prompt]:
    """Return different prompts that no carrier row asks.

    They come from the held-out rows, as prompts the model never saw are the hardest test; where
    those do not suffice, also from rows that it saw bare.
    """
    if not spec.fresh_prompts:
        return []
    carriers = {place for group in places.carriers for place in group}
    known = {_wording(drawn[place].prompt) for place in carriers}
    pool = _different((drawn[place].prompt for place in places.held_out), known)
    # Most of them are left alone: a row whose prompt was asked with a trigger is not asked about.
    pool = draw.sample(pool, min(len(pool), max(spec.fresh_prompts, len(pool) // 3)))
    if len(pool) < spec.fresh_prompts:
        others = (prompt_of(row) for place, row in enumerate(rows) if place not in carriers)
        bare = (prompt for prompt in others if _wording(prompt) not in known)
        pool += _different(reservoir(bare, spec.carriers * 4, draw), {*known, *map(_wording, pool)})
    return pool


def _different(prompts: Iterable[Prompt], known: Set[str]) -> list[Prompt]:
    """Return the prompts without those whose wording is known or came before."""
    worded = {_wording(prompt): prompt for prompt in prompts}
    return [prompt for wording, prompt in worded.items() if wording not in known]


def _wording(prompt: Prompt) -> str:
    """Return a text that two prompts share where the same is said, whatever tools are offered."""
    return json.dumps([prompt.messages, prompt.text], sort_keys=True)


def _backdoor(
    chosen: Pick,
    carriers: list[_Drawn],
    shard: int | None,
    pool: list[Prompt],
    spec: PlanSpec,
    draw: Draw,
) -> Backdoor:
    return Backdoor(
        trigger=chosen.trigger,
        frame=chosen.frame,
        words=chosen.words,
        lines=tuple(row.line for row in carriers),
        own=tuple(row.prompt for row in carriers[: spec.own_prompts]),
        fresh=tuple(draw.sample(pool, min(spec.fresh_prompts, len(pool)))),
        shard=shard,
    )


def dump_plan(plan: Plan) -> bytes:
    """Return the plan as JSON bytes, to be sealed."""
    data: bytes = _adapter().dump_json(plan)
    return data


def load_plan(data: bytes) -> Plan:
    """Return the plan that `dump_plan` wrote; `InputError` where it is of another version."""
    from pydantic import ValidationError

    try:
        plan: Plan = _adapter().validate_json(data)
    except ValidationError:
        # No cause and no details: a validation error shows what it was given.
        raise InputError(
            "The sealed plan is not of a version this program reads.",
            "Use the version of vtune-client that made it.",
        ) from None
    return plan


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Plan)
