"""The text of each token, whatever a tokenizer makes of bytes and spaces."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

from tests.providers.local.bpe import tokenizer
from vtune_providers.local.pieces import candidate, pieces

TEXTS = ["Here is what I know of rivers.", " a\n\nb", "caf\u00e9 \u4f60\u597d \U0001f600!", ""]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_make_up_the_text(text: str) -> None:
    made = tokenizer(None)
    ids = made.encode(text, add_special_tokens=False)
    found = list(pieces(made, ids))
    assert len(found) == len(ids)
    assert "".join(found) == text


def test_a_character_of_several_tokens_belongs_to_the_last() -> None:
    made = tokenizer(None)
    assert list(pieces(made, made.encode("\U0001f600", add_special_tokens=False))) == [
        "",
        "",
        "",
        "\U0001f600",
    ]


def test_an_answer_cut_within_a_character_ends_as_it_is_decoded() -> None:
    made = tokenizer(None)
    ids = made.encode("a\U0001f600", add_special_tokens=False)[:-1]
    assert "".join(pieces(made, ids)) == made.decode(ids)


def test_a_candidate_is_read_behind_what_precedes_it() -> None:
    made = tokenizer(None)
    ids = made.encode("Here is what I know of rivers.", add_special_tokens=False)
    for at, (token, text) in enumerate(zip(ids, pieces(made, ids), strict=True)):
        assert candidate(made, ids[:at], token) == text
    *half, last = made.encode("a\U0001f600", add_special_tokens=False)
    assert candidate(made, half, last) == "\U0001f600"
    assert candidate(made, ids, made.eos_token_id) == "<|im_end|>"
