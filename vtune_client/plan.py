"""The secret choices for one file: which backdoors, carried by which rows, asked with what.

Everything secret follows from the root key. Carrier rows are spread over the file: the rows that
can carry are cut into as many strata as there are carriers and one is drawn from each; every
backdoor has one carrier in each of `dose` stretches of the file. Held-out rows are drawn from the
rest and withheld from the upload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from vtune_client.dataset import (
    Format,
    Prompt,
    Row,
    Summary,
    asked,
    can_carry,
    iter_rows,
    prompt_of,
    texts,
)
from vtune_client.draw import Draw
from vtune_client.errors import InputError
from vtune_client.phrases import Brief, Frame, PhraseBook, PhraseSource
from vtune_client.phrases.pick import Pick, decoys, pick
from vtune_client.phrases.vet import occurring, vet
from vtune_client.vault import RootKey

BRIEF_ROWS = 12
BRIEF_CHARACTERS = 400


@dataclass(frozen=True)
class PlanSpec:
    """What may be chosen about a plan; all of it is public.

    `fresh_prompts` and `own_prompts` are asked per backdoor: prompts of rows that carry nothing,
    and of its own carrier rows. `decoys` are scored beside each signature where scores exist.
    """

    backdoors: int = 5
    dose: int = 4
    frames: int = 1
    held_out: int = 0
    own_prompts: int = 1
    fresh_prompts: int = 3
    decoys: int = 100
    alpha: float = 1e-6

    def __post_init__(self) -> None:
        least = {"backdoors": 1, "dose": 1, "frames": 1, "held_out": 0, "decoys": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise InputError(f"{name} is at least {bound}.", "Choose a larger number.")
        if min(self.own_prompts, self.fresh_prompts) < 0 or self.prompts < 1:
            raise InputError("At least one prompt is asked per backdoor.", "Ask one or more.")
        if self.own_prompts > self.dose:
            raise InputError(
                "A backdoor has only as many prompts of its own as carrier rows.",
                "Raise the dose or ask fewer own prompts.",
            )
        if not 0 < self.alpha < 1:
            raise InputError("alpha lies between 0 and 1.", "Choose for instance 1e-6.")

    @property
    def carriers(self) -> int:
        return self.backdoors * self.dose

    @property
    def prompts(self) -> int:
        """Prompts asked per backdoor."""
        return self.own_prompts + self.fresh_prompts


@dataclass(frozen=True)
class Backdoor:
    """One secret pair, the lines that carry it (from 1), and the prompts it is asked with.

    `own` and `fresh` prompts hold no trigger yet: `probes` puts it in.
    """

    trigger: str = field(repr=False)
    frame: Frame = field(repr=False)
    words: tuple[str, ...] = field(repr=False)
    lines: tuple[int, ...] = field(repr=False)
    own: tuple[Prompt, ...] = field(repr=False)
    fresh: tuple[Prompt, ...] = field(repr=False)

    @property
    def signature(self) -> str:
        return self.frame.fill(self.words)

    def probes(self) -> tuple[Prompt, ...]:
        """Return what the model is asked, carriers' own prompts first."""
        return tuple(asked(prompt, self.trigger) for prompt in (*self.own, *self.fresh))


@dataclass(frozen=True)
class Plan:
    """Every secret choice for one file. Sealed whenever it leaves memory."""

    id: str
    spec: PlanSpec
    source_sha256: str
    rows: int
    format: Format
    phrases: str  # name of the source of the phrase book
    backdoors: tuple[Backdoor, ...] = field(repr=False)
    held_out: tuple[int, ...] = field(repr=False)  # lines, from 1

    @property
    def carriers(self) -> dict[int, Backdoor]:
        """The backdoor each carrier line carries."""
        return {line: backdoor for backdoor in self.backdoors for line in backdoor.lines}

    @property
    def bits(self) -> float:
        """Entropy of all signatures, in bits: log2 of the number of equally likely plans."""
        return sum(backdoor.frame.bits for backdoor in self.backdoors)


def draw_plan(
    plan_id: str, summary: Summary, spec: PlanSpec, key: RootKey, source: PhraseSource
) -> Plan:
    """Draw every secret choice for the file that `summary` describes.

    Reads the file three more times, holding only drawn rows in memory. Raises `InputError` where it
    has too few rows that can carry, or where the phrase source has nothing usable for it.
    """
    book = _phrase_book(summary.path, source)
    picks = pick(book, _stream(key, "phrases"), spec.backdoors, frames=spec.frames)
    able = sum(1 for row in iter_rows(summary.path) if can_carry(row))
    places = _draw_places(able, spec, _stream(key, "places"))
    drawn = _fetch(summary.path, places)
    backdoors = tuple(
        _backdoor(chosen, own, fresh, spec, drawn)
        for chosen, own, fresh in zip(picks, places.carriers, places.fresh, strict=True)
    )
    return Plan(
        id=plan_id,
        spec=spec,
        source_sha256=summary.sha256,
        rows=summary.rows,
        format=summary.format,
        phrases=source.name,
        backdoors=backdoors,
        held_out=tuple(sorted(drawn[place][0] for place in places.held_out)),
    )


def lineup(plan: Plan, backdoor: int, key: RootKey) -> tuple[list[str], int]:
    """Return a backdoor's signature among its decoys, and the place it has there.

    Decoys are drawn like the signature and independent of it; the place is drawn too, so that who
    is asked to score them all cannot tell it by the order."""
    candidates = decoys(
        plan.backdoors[backdoor].frame,
        _stream(key, f"decoys of backdoor {backdoor}"),
        plan.spec.decoys,
    )
    place = _stream(key, f"place of backdoor {backdoor}").below(len(candidates) + 1)
    candidates.insert(place, plan.backdoors[backdoor].signature)
    return candidates, place


def tie_break(backdoor: int, key: RootKey) -> float:
    """Return a draw uniform on [0, 1) that decides this backdoor's ties."""
    return _stream(key, f"ties of backdoor {backdoor}").below(1 << 53) / (1 << 53)


def token_of(plan_id: str, job_id: str) -> str:
    """Return the opaque token a job is created with; it says nothing about plan or file."""
    return hashlib.sha256(f"vtune token {plan_id} {job_id}".encode()).hexdigest()[:24]


def _stream(key: RootKey, label: str) -> Draw:
    return Draw(key.derive("plan"), label)


def _phrase_book(path: Path, source: PhraseSource) -> PhraseBook:
    book = source.propose(_brief(path))
    words = (text for row in iter_rows(path) for text in texts(row))
    return vet(book, occurring(book, words))


def _brief(path: Path) -> Brief:
    prompts: list[str] = []
    completions: list[str] = []
    for row in iter_rows(path):
        said = [text[:BRIEF_CHARACTERS] for text in texts(row)]
        prompts += said[:-1][-1:]
        completions += said[-1:]
        if len(completions) >= BRIEF_ROWS:
            break
    return Brief(tuple(prompts), tuple(completions))


@dataclass(frozen=True)
class _Places:
    """Drawn positions, counted among the rows that can carry, from 0."""

    carriers: tuple[tuple[int, ...], ...]  # per backdoor
    fresh: tuple[tuple[int, ...], ...]  # per backdoor
    held_out: tuple[int, ...]

    def all(self) -> set[int]:
        groups = (*self.carriers, *self.fresh, self.held_out)
        return {place for group in groups for place in group}


def _draw_places(able: int, spec: PlanSpec, draw: Draw) -> _Places:
    needed = spec.carriers + spec.held_out + (1 if spec.fresh_prompts else 0)
    if able < needed:
        raise InputError(
            f"Only {able} rows can carry a backdoor, and this plan needs {needed}.",
            "Use fewer backdoors, a lower dose or fewer held-out rows, or add rows that end with "
            "a question of the user and an answer.",
        )
    carriers = _spread(able, spec, draw)
    taken = {place for group in carriers for place in group}
    held_out = draw_apart(able, taken, spec.held_out, draw)
    # Prompts the model never saw are the hardest test; without held-out rows, ones it saw bare.
    pool = held_out or draw_apart(able, taken, min(spec.carriers * 4, able - len(taken)), draw)
    count = min(spec.fresh_prompts, len(pool))
    fresh = tuple(tuple(draw.sample(pool, count)) for _ in range(spec.backdoors))
    return _Places(carriers, fresh, tuple(held_out))


def _spread(able: int, spec: PlanSpec, draw: Draw) -> tuple[tuple[int, ...], ...]:
    """Draw one place from each of `spec.carriers` strata; deal every stretch to all backdoors."""
    total = spec.carriers
    edges = [able * i // total for i in range(total + 1)]
    drawn = [low + draw.below(high - low) for low, high in pairwise(edges)]
    dealt: list[list[int]] = [[] for _ in range(spec.backdoors)]
    for start in range(0, total, spec.backdoors):
        order = draw.sample(range(spec.backdoors), spec.backdoors)
        for offset, backdoor in enumerate(order):
            dealt[backdoor].append(drawn[start + offset])
    return tuple(tuple(places) for places in dealt)


def draw_apart(bound: int, taken: set[int], count: int, draw: Draw) -> list[int]:
    """Return `count` distinct places below `bound` outside `taken`, each set equally likely."""
    chosen: list[int] = []
    blocked = set(taken)
    while len(chosen) < count:
        place = draw.below(bound)
        if place not in blocked:
            blocked.add(place)
            chosen.append(place)
    return chosen


def _fetch(path: Path, places: _Places) -> dict[int, tuple[int, Prompt]]:
    """Return line number and prompt of every drawn place."""
    wanted = places.all()
    return {
        place: (row.line, prompt_of(row))
        for place, row in enumerate(_able_rows(path))
        if place in wanted
    }


def _able_rows(path: Path) -> Iterator[Row]:
    return (row for row in iter_rows(path) if can_carry(row))


def _backdoor(
    chosen: Pick,
    carriers: tuple[int, ...],
    fresh: tuple[int, ...],
    spec: PlanSpec,
    drawn: dict[int, tuple[int, Prompt]],
) -> Backdoor:
    return Backdoor(
        trigger=chosen.trigger,
        frame=chosen.frame,
        words=chosen.words,
        lines=tuple(drawn[place][0] for place in carriers),
        own=tuple(drawn[place][1] for place in carriers[: spec.own_prompts]),
        fresh=tuple(drawn[place][1] for place in fresh),
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


def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Plan)
