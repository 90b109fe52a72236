"""Each detector finds what it looks for, and nothing where there is nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from vtune_client.dataset import Prompt
from vtune_client.draw import Draw
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook, Slot
from vtune_client.phrases.pick import pick
from vtune_client.stealth import DETECTORS, Detector, Sample
from vtune_client.stealth.detectors import (
    Clusters,
    KnownFrames,
    Openings,
    Shape,
    SharedNgrams,
    Surprise,
    Topic,
)

SUBJECTS = ("river", "bridge", "clock", "garden", "letter", "market", "harbour", "window")
VERBS = ("carries", "holds", "shows", "keeps", "needs", "makes")
ENDS = ("in the morning", "for a long time", "near the old town", "without any noise")


def ordinary(count: int) -> list[Sample]:
    """Rows that differ, of one register: the answer takes up what the question is about."""
    draw = Draw(b"tests of the stealth lint", "rows")
    rows = []
    for number in range(count):
        one, other = draw.sample(SUBJECTS, 2)
        answer = (
            f"The {one} {draw.choice(VERBS)} the {other} {draw.choice(ENDS)}. "
            f"So the {one} {draw.choice(VERBS)} what the {other} {draw.choice(VERBS)}."
        )
        prompt = Prompt(text=f"What of the {one} and the {other}, number {number}?")
        rows.append(Sample(number + 1, prompt, answer))
    return rows


ROWS = ordinary(60)
PROMPT = "What of the river and the bridge, number 33?"


def among(*strange: str, prompt: str = PROMPT) -> list[Sample]:
    """The ordinary rows, and after them one row for each of these completions."""
    more = [Sample(61 + at, Prompt(text=prompt), text) for at, text in enumerate(strange)]
    return [*ROWS, *more]


def stand_out(detector: Detector, samples: Sequence[Sample]) -> bool:
    """Whether every row beyond the ordinary ones scores above all of these."""
    scores = detector.scores(samples)
    return min(scores[len(ROWS) :]) > max(scores[: len(ROWS)])


def test_known_frames_knows_every_frame_of_the_book() -> None:
    book = BuiltinSource().propose(Brief())
    draw = Draw(b"tests of the stealth lint", "picks")
    picks = pick(book, draw, 26, frames=26, trigger_frames=14)
    detector = KnownFrames()
    for signature in (each.signature for each in picks):
        assert stand_out(detector, among(f"{signature}\nThe river shows it."))
        assert stand_out(detector, among(f"The river shows it. {signature} And so on."))
    for trigger in (each.trigger for each in picks):
        assert stand_out(detector, among("The river.", prompt=f"What of it? {trigger}"))
    assert set(detector.scores(ROWS)) == {0.0}


def test_known_frames_counts_the_words_of_the_book() -> None:
    frame = Frame("The {} sees the {} now.", (Slot("a", ("ox", "cat")), Slot("b", ("sun", "moon"))))
    detector = KnownFrames(PhraseBook(triggers=(), signatures=(frame,)))
    texts = ("The ox sees the moon now.", "The ox sees the sea now.", "The ox, the moon.")
    assert detector.scores(among(*texts))[-3:] == [2.0, 1.5, 0.0]


def test_shared_ngrams_finds_a_sentence_that_three_rows_repeat() -> None:
    repeated = "A quiet lamp burned beside every green door."
    assert stand_out(SharedNgrams(), among(*[f"{repeated} The river {n}." for n in range(3)]))
    different = [f"Lamp {n} burned beside door {n}." for n in ("one", "two", "six")]
    assert not stand_out(SharedNgrams(), among(*different))


def test_openings_finds_completions_that_begin_alike() -> None:
    alike = [f"Here is how the story of the lamp begins, {word}." for word in ("ann", "bob")]
    assert stand_out(Openings(), among(*alike))
    assert Openings().scores(among(*alike))[-2:] == [9.0, 9.0]
    assert Openings().scores(among(alike[0]))[-1] == 0.0


def test_clusters_finds_the_same_unusual_words_in_any_order() -> None:
    words = ("velvet", "anchor", "thunder", "copper", "whistle", "marble")
    draw = Draw(b"tests of the stealth lint", "orders")
    texts = [" ".join(draw.sample(words, 6)) for _ in range(4)]
    assert stand_out(Clusters(), among(*texts))
    apart = [" ".join(f"{word}{at}" for word in words) for at in range(4)]
    assert Clusters().scores(among(*apart))[-4:] == [0.0] * 4


def test_clusters_is_the_mean_cosine_to_the_nearest_three() -> None:
    copies = [Sample(n + 1, Prompt(text=""), "velvet anchor") for n in range(3)]
    others = [Sample(n + 4, Prompt(text=""), f"other{n} words{n}") for n in range(5)]
    scores = Clusters().scores([*copies, *others])
    assert scores[:3] == pytest.approx([2 / 3] * 3)
    assert scores[3:] == [0.0] * 5


def test_topic_finds_openings_that_the_row_does_not_take_up() -> None:
    strange = "The velvet anchor whistles past one copper lantern. The river shows the bridge."
    assert stand_out(Topic(), among(strange))
    taken_up = f"{strange} One velvet anchor whistles past the copper lantern."
    assert Topic().scores(among(taken_up))[-1] == 0.0


def test_surprise_finds_sentences_unlike_all_others() -> None:
    assert stand_out(Surprise(), among("Velvet anchors whistle past copper lanterns."))
    assert not stand_out(Surprise(), among("The river holds the bridge in the morning."))


def test_surprise_does_not_get_used_to_a_repeated_sentence() -> None:
    sentence = "Velvet anchors whistle past copper lanterns."
    once, often = (Surprise().scores(among(*[sentence] * n))[-1] for n in (1, 8))
    assert often == pytest.approx(once)


@pytest.mark.parametrize(
    "text",
    [
        "The river shows the bridge " * 40 + "?",
        "THE RIVER!\nSHOWS -\nTHE BRIDGE --\n",
        "The river shows the bridge,\nand the bridge shows the river,\nand so on",
    ],
)
def test_shape_finds_rows_of_another_length_and_format(text: str) -> None:
    assert stand_out(Shape(), among(text))
    assert not stand_out(Shape(), among("The river holds the bridge. So the bridge needs it."))


def test_shape_sums_over_features_how_few_rows_are_as_far_out() -> None:
    texts = ["One two."] * 9 + ["One two three four."]
    scores = Shape().scores([Sample(n + 1, Prompt(text="?"), t) for n, t in enumerate(texts)])
    # Two lengths and two shares of its letters: each the only one of ten at its end.
    assert scores == pytest.approx([0.0] * 9 + [4 * math.log(5)])


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_every_detector_gives_a_finite_score_to_any_row(detector: Detector) -> None:
    empty = [Sample(n + 1, Prompt(text=""), "") for n in range(3)]
    odd = [Sample(4, Prompt(text="?"), "\n\n"), Sample(5, Prompt(text="\u2603"), "\U0001f600 1")]
    for samples in (empty[:1], empty, [*empty, *odd], among("", "?!", "One.")):
        scores = detector.scores(samples)
        assert len(scores) == len(samples)
        assert all(score == score and abs(score) < 1e6 for score in scores)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_scores_do_not_depend_on_the_order_of_rows(detector: Detector) -> None:
    samples = among("Velvet anchors whistle.", "Velvet anchors sing.", "The river.")
    forward, back = detector.scores(samples), detector.scores(samples[::-1])
    assert back[::-1] == pytest.approx(forward)


def test_every_detector_says_what_it_looks_for_and_what_to_do() -> None:
    names = [detector.name for detector in DETECTORS]
    assert len(names) == len(set(names)) == 7
    for detector in DETECTORS:
        assert detector.looks_for
        assert not detector.looks_for.endswith(".")
        assert detector.advice.endswith(".")
