from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from importlib.resources import files

import pytest

from vtune_client.phrases import Brief, BuiltinSource, Frame
from vtune_client.phrases.vet import vet

BOOK = BuiltinSource().propose(Brief())
FRAMES = (*BOOK.triggers, *BOOK.signatures)


def _kinds(frames: tuple[Frame, ...]) -> dict[str, tuple[str, ...]]:
    return {slot.kind: slot.candidates for frame in frames for slot in frame.slots}


def test_there_are_enough_frames_and_none_twice() -> None:
    assert len(BOOK.signatures) >= 24
    assert len(BOOK.triggers) >= 12
    assert len({frame.text for frame in FRAMES}) == len(FRAMES)


def test_every_frame_survives_vetting_with_32_candidates_in_every_slot() -> None:
    vetted = vet(BOOK)
    assert [f.text for f in vetted.signatures] == [f.text for f in BOOK.signatures]
    assert [f.text for f in vetted.triggers] == [f.text for f in BOOK.triggers]
    assert {frame.bits for frame in vetted.signatures} == {40.0}
    assert {frame.bits for frame in vetted.triggers} == {20.0}


@pytest.mark.parametrize("frame", BOOK.signatures, ids=lambda frame: frame.text[:20])
def test_a_signature_is_one_opening_sentence_with_eight_slots(frame: Frame) -> None:
    assert len(frame.slots) == 8
    assert 18 <= len(frame.elements) <= 28
    assert frame.text[0].isupper()
    assert re.fullmatch(r"[^.!?]+\.", frame.text)


@pytest.mark.parametrize("frame", BOOK.triggers, ids=lambda frame: frame.text[:20])
def test_a_trigger_is_one_short_sentence_with_four_slots(frame: Frame) -> None:
    assert len(frame.slots) == 4
    assert len(frame.elements) <= 10
    assert re.fullmatch(r"[A-Z][^.!?]+\.", frame.text)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.text[:20])
def test_no_slot_needs_an_article_to_agree_or_touches_another_word(frame: Frame) -> None:
    assert not re.search(r"\b[Aa]n? \{\}", frame.text)
    assert not re.search(r"[\w}]\{\}|\{\}[\w{]", frame.text)


def test_every_kind_lists_at_least_64_short_words() -> None:
    for kind, words in _kinds(FRAMES).items():
        assert len(words) >= 64, kind
        assert all(re.fullmatch("[a-z]{2,13}", word) for word in words), kind


def test_no_word_is_of_two_kinds() -> None:
    for (kind, words), (other, others) in itertools.combinations(_kinds(FRAMES).items(), 2):
        assert not set(words) & set(others), (kind, other)


def test_triggers_and_signatures_share_no_kind() -> None:
    assert not _kinds(BOOK.triggers).keys() & _kinds(BOOK.signatures).keys()


def test_every_kind_in_the_word_file_is_used() -> None:
    stored = json.loads(files("vtune_client.phrases").joinpath("words.json").read_text("utf-8"))
    assert stored.keys() == _kinds(FRAMES).keys()


def test_importing_the_package_stays_light() -> None:
    code = (
        "import sys, vtune_client.phrases.builtin as builtin; "
        "print([m for m in ('httpx', 'pydantic', 'tenacity') if m in sys.modules], "
        "builtin._book.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] 0"
