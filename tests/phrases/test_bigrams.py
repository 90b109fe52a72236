"""How unlikely a sentence is among others."""

from __future__ import annotations

import math

import pytest

from vtune_client.phrases.bigrams import BACKOFF, Bigrams

SENTENCES = [("the", "river", "bends"), ("the", "river", "shines"), ("a", "lamp", "shines")]


def test_a_known_pair_costs_how_often_it_follows() -> None:
    model = Bigrams(SENTENCES)
    assert model.step("the", "river") == 0.0
    assert model.step("river", "bends") == pytest.approx(math.log(2))
    assert model.step("", "the") == pytest.approx(math.log(3 / 2))


def test_an_unknown_pair_costs_more_the_rarer_the_word_is() -> None:
    model = Bigrams(SENTENCES)
    shines, bends, new = (model.step("lamp", word) for word in ("river", "bends", "velvet"))
    assert shines < bends < new
    # 9 words of 7 kinds, and the opening of a sentence, which is a kind of its own
    assert new == pytest.approx(-math.log(BACKOFF / (9 + 7)))


def test_a_sentence_of_the_file_does_not_vouch_for_itself() -> None:
    model = Bigrams([*SENTENCES, ("a", "velvet", "anchor")])
    sentence = ("a", "velvet", "anchor")
    assert model.cost(sentence) > model.cost_of_new(sentence) + 2
    assert Bigrams([*SENTENCES, sentence, sentence]).cost(sentence) == model.cost(sentence)
