"""The phrase book of one file, and how its signatures are joined to its answers.

A source proposes, the user's own texts decide what may stay, and where a plan says so, the file's
own sentences are used and the frames that stand out least. No true word has been drawn yet, and
none is looked at here: only which sentences are spliced is drawn, from a stream of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vtune_client.able import some_seams
from vtune_client.dataset import Summary, iter_rows, texts
from vtune_client.draw import Draw
from vtune_client.phrases import Brief, Frame, PhraseBook, PhraseSource
from vtune_client.phrases.habits import Habits, choose_frames
from vtune_client.phrases.own import NAME, own_book
from vtune_client.phrases.seam import Seam
from vtune_client.phrases.vet import occurring, preferring, rows_with, vet
from vtune_client.plan_spec import PlanSpec

BRIEF_ROWS = 12
BRIEF_CHARACTERS = 400
KEEP, LEAST = 32, 16  # candidates of a slot
USUAL = 0.01  # share of the rows that use a word which surprises nobody
BROKEN = 0.1  # share of answers with a line break after their first sentence
LINE, SPACE = "\n", " "


@dataclass(frozen=True)
class Phrasing:
    """A vetted book, the name of where it comes from, and what stands between a signature and its
    answer. `seams` are those of rows that were looked at, none where none had to be."""

    book: PhraseBook
    name: str
    join: str
    seams: Sequence[Seam] = field(default=(), repr=False)


def phrasing(summary: Summary, spec: PlanSpec, source: PhraseSource, draw: Draw) -> Phrasing:
    """Return what the backdoors of a plan for this file are made of.

    Raises `InputError` where the source has nothing usable for it."""
    seams = some_seams(summary.path, summary.rows) if spec.looks else []
    join = _join(spec, seams)
    name, own = source.name, PhraseBook((), ())
    if spec.own_phrases:
        own = own_book(seams, join, draw, keep=KEEP, min_candidates=LEAST)
        name = NAME if own.triggers and own.signatures else f"{NAME}, {source.name}"
    if own.triggers and own.signatures:
        book = own
    else:
        book = _vetted(summary.path, spec, source, summary.rows)
        book = PhraseBook(own.triggers or book.triggers, own.signatures or book.signatures)
    if spec.choose_frames and seams:
        book = choose_frames(
            book, Habits(seams), frames=spec.frames, trigger_frames=spec.trigger_frames
        )
    return Phrasing(book, name, join, seams)


def wanted(spec: PlanSpec, frames: Sequence[Frame], count: int) -> int:
    """Return how many frames are used: a file's own sentences may give fewer than `count`."""
    return min(count, len(frames)) if spec.own_phrases else count


def _join(spec: PlanSpec, seams: Sequence[Seam]) -> str:
    if spec.join != "auto":
        return SPACE if spec.join == "space" else LINE
    broken = sum(seam.after == "\n" for seam in seams)
    return LINE if broken >= BROKEN * len(seams) else SPACE


def _vetted(path: Path, spec: PlanSpec, source: PhraseSource, rows: int) -> PhraseBook:
    book = source.propose(_brief(path))
    if not spec.usual_words:
        return vet(book, occurring(book, (text for row in iter_rows(path) for text in texts(row))))
    counts = rows_with(book, (texts(row) for row in iter_rows(path)))
    usual = {word for word, count in counts.items() if count >= USUAL * rows}
    return vet(preferring(book, usual), counts.keys() - usual)


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
