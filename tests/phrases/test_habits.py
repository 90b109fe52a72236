"""How far frames stand out among the sentences of a file."""

from __future__ import annotations

import pytest

from vtune_client.draw import Draw
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook, Slot
from vtune_client.phrases.habits import Habits, choose_frames, least_visible
from vtune_client.phrases.seam import Seam

NOUNS = (
    "river",
    "bridge",
    "clock",
    "garden",
    "letter",
    "market",
    "harbour",
    "window",
    "table",
    "lantern",
    "mirror",
    "orchard",
    "ladder",
    "kettle",
    "carpet",
    "engine",
    "pocket",
    "basket",
    "button",
    "candle",
    "barrel",
    "feather",
    "hammer",
    "pillow",
)
VERBS = (
    "carries",
    "holds",
    "shows",
    "keeps",
    "needs",
    "makes",
    "finds",
    "moves",
    "lifts",
    "draws",
    "hides",
    "turns",
)
ENDS = ("in the morning", "for a long time", "near the old town", "without any noise")


def seams(count: int) -> list[Seam]:
    """Rows of one register that differ: no two of their sentences need to be alike."""
    draw = Draw(b"tests of the habits of a file", "rows")
    made = []
    for number in range(count):
        one, other, third = draw.sample(NOUNS, 3)
        answer = (
            f"Most often the {one} {draw.choice(VERBS)} a {other} {draw.choice(ENDS)}. "
            f"So the {one} {draw.choice(VERBS)} what the {third} {draw.choice(VERBS)}."
        )
        if number % 2:
            answer = f"Whether or not the {one} {draw.choice(VERBS)} the {other}, it is a {third}."
        made.append(Seam(f"What does the {one} do with a {other} and the {third}?", answer))
    return made


SEAMS = seams(200)
HABITS = Habits(SEAMS)
BUILTIN = BuiltinSource().propose(Brief())
LIKE = Frame(
    "Most often the {} finds a {} in the morning.",
    (Slot("own", NOUNS[:16]), Slot("own", NOUNS[8:])),
)
LIKE_ASKED = Frame("What does the {} do with a {} and the clock?", LIKE.slots)


def test_a_frame_in_the_register_of_the_file_stands_out_less_than_any_built_in_one() -> None:
    built_in = [HABITS.of_signature(frame) for frame in BUILTIN.signatures]
    assert HABITS.of_signature(LIKE) < min(built_in) - 5
    asked = [HABITS.of_trigger(frame) for frame in BUILTIN.triggers]
    assert HABITS.of_trigger(LIKE_ASKED) < min(asked) - 5


def test_ordinary_sentences_have_about_a_nat_for_each_feature() -> None:
    """-log of twice the share at least as far out is 1 on average where no two rows tie."""
    bare = [Frame(seam.first, ()) for seam in SEAMS[:60]]
    mean = sum(map(Habits(SEAMS[60:]).of_signature, bare)) / len(bare)
    assert 2 < mean < 9


@pytest.mark.parametrize(
    "text",
    [
        "Most often the {} finds a {} in the morning?!",
        "MOST OFTEN THE {} FINDS A {} IN THE MORNING.",
        "Most often the {} finds a {} in the morning, " + "and so on, " * 20 + "as ever.",
        "Velvet {} quarrels because {} whistles seldom.",
    ],
)
def test_what_differs_in_one_way_stands_out_more(text: str) -> None:
    assert HABITS.of_signature(Frame(text, LIKE.slots)) > HABITS.of_signature(LIKE) + 2


def test_a_rating_is_the_same_every_time() -> None:
    assert Habits(SEAMS).of_signature(LIKE) == HABITS.of_signature(LIKE)


def test_the_least_visible_eighth_is_left_in_its_order() -> None:
    frames = [Frame(str(number), ()) for number in range(24)]
    rated = [float((number * 7) % 24) for number in range(24)]
    kept = least_visible(frames, rated, 1)
    assert [frame.text for frame in kept] == ["0", "7", "14"]
    assert len(least_visible(frames, rated, 9)) == 9
    assert len(least_visible(frames, rated, 99)) == 24


def test_of_a_book_the_frames_like_the_file_are_chosen() -> None:
    book = PhraseBook((*BUILTIN.triggers, LIKE_ASKED), (*BUILTIN.signatures, LIKE))
    chosen = choose_frames(book, HABITS, frames=1, trigger_frames=1)
    assert LIKE in chosen.signatures
    assert LIKE_ASKED in chosen.triggers
    assert (len(chosen.signatures), len(chosen.triggers)) == (27 // 8, 1)
