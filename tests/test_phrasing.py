"""The phrase book of one file: what is kept, chosen and joined, before there is any secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.datasets import DATASETS
from tests.dataset.corpus import Data, assistant, chat, user
from tests.written import plain, write
from vtune_client.dataset import check
from vtune_client.draw import Draw
from vtune_client.phrases import Brief, BuiltinSource, PhraseBook
from vtune_client.phrases.frame import words_of
from vtune_client.phrasing import LINE, SPACE, Phrasing, phrasing
from vtune_client.plan_spec import PlanSpec


class Unasked(BuiltinSource):
    def propose(self, brief: Brief) -> PhraseBook:
        raise AssertionError("the source was asked")


def of(path: Path, spec: PlanSpec, source: BuiltinSource | None = None) -> Phrasing:
    return phrasing(check(path), spec, source or BuiltinSource(), Draw(b"tests of phrasing", "own"))


@pytest.mark.parametrize(
    ("join", "broken", "expected"),
    [
        ("line", False, LINE),
        ("space", True, SPACE),
        ("auto", True, LINE),
        ("auto", False, SPACE),
    ],
)
def test_the_join_goes_by_the_file_where_it_is_told_to(
    tmp_path: Path, join: str, broken: bool, expected: str
) -> None:
    def row(number: int) -> Data:
        end = "\nAnd so on." if broken and number % 5 == 0 else " And so on."
        return chat(user(f"What is {number}?"), assistant(f"It is {number}.{end}"))

    path = write(tmp_path / "rows.jsonl", row)
    assert of(path, PlanSpec(join=join)).join == expected


def test_rows_are_looked_at_only_where_something_hangs_on_them(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain)
    assert of(path, PlanSpec()).seams == []
    for spec in (PlanSpec(join="auto"), PlanSpec(choose_frames=True), PlanSpec(choose_rows=True)):
        assert len(of(path, spec).seams) == 60


def test_words_that_many_rows_use_stay_and_come_first(tmp_path: Path) -> None:
    def row(number: int) -> Data:
        rare = " A barrel." if number == 7 else ""
        return chat(user(f"What is {number}?"), assistant(f"The suitcase and the robe.{rare}"))

    path = write(tmp_path / "rows.jsonl", row, rows=200)
    plain_book, usual_book = (of(path, PlanSpec(usual_words=usual)).book for usual in (False, True))
    words, usual_words = (
        {word for frame in book.signatures for slot in frame.slots for word in slot.candidates}
        for book in (plain_book, usual_book)
    )
    assert not {"suitcase", "robe", "barrel"} & words
    assert {"suitcase", "robe"} <= usual_words
    assert "barrel" not in usual_words
    slots = {slot for frame in usual_book.signatures for slot in frame.slots}
    firsts = {slot.candidates[0] for slot in slots if slot.kind in ("household", "garment")}
    assert firsts == {"suitcase", "robe"}


def test_own_phrases_ask_no_source_where_the_file_has_sentences(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    DATASETS["question answering"](path, 200)
    made = of(path, PlanSpec.stealthy(), Unasked())
    assert made.name == "own sentences"
    assert len(made.book.signatures) >= 20
    words = {word for seam in made.seams for word in words_of(seam.first)}
    assert all(frame.literals <= words for frame in made.book.signatures)


def test_what_the_file_has_no_sentences_for_comes_from_the_source(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain)  # of few words
    made = of(path, PlanSpec.stealthy())
    assert made.name == "own sentences, builtin-en"
    assert made.book.signatures[0].text in {
        frame.text for frame in BuiltinSource().propose(Brief()).signatures
    }
