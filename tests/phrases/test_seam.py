from __future__ import annotations

import pytest

from vtune_client.phrases.seam import Seam


@pytest.mark.parametrize(
    ("completion", "first", "after"),
    [
        (" One. Two.", "One.", " "),
        ("One\ntwo. Three.", "One", "\n"),
        ("One two", "One two", ""),
        ("", "", ""),
    ],
)
def test_the_first_sentence_and_what_follows_it(completion: str, first: str, after: str) -> None:
    seam = Seam("Why?", completion)
    assert (seam.first, seam.after) == (first, after)


def test_the_words_around_the_first_sentence() -> None:
    seam = Seam("Read. Then say why?", "It is so. It stays.")
    assert (seam.last, seam.closing, seam.opening) == (
        "Then say why?",
        ("then", "say", "why"),
        ("it", "is", "so"),
    )
    assert seam.around == {"read", "then", "say", "why", "it", "stays"}
    assert repr(seam) == "Seam()"
