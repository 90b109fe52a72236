from __future__ import annotations

from typing import Any

import pytest

from vtune_client.provider import TokenScores
from vtune_providers.chat.logprobs import tokens_of

CHAT = {
    "content": [
        {
            "token": "Hi",
            "logprob": -0.5,
            "bytes": [72, 105],
            "top_logprobs": [
                {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]},
                {"token": "Oh", "logprob": -1.5, "bytes": None},
            ],
        },
        {"token": "!", "logprob": -1},
    ],
    "refusal": None,
}
TEXT = {
    "text_offset": [0, 2],
    "tokens": ["Hi", "!"],
    "token_logprobs": [-0.5, -1],
    "top_logprobs": [{"Hi": -0.5, "Oh": -1.5}, None],
}
SCORES = (TokenScores("Hi", -0.5, (("Hi", -0.5), ("Oh", -1.5))), TokenScores("!", -1.0))


@pytest.mark.parametrize("found", [CHAT, TEXT])
def test_both_shapes_are_read(found: dict[str, Any]) -> None:
    assert tokens_of({"logprobs": found}) == SCORES


def test_lists_without_candidates_are_read() -> None:
    found = {"tokens": ["Hi"], "token_logprobs": [-0.5], "top_logprobs": None}
    assert tokens_of({"logprobs": found}) == (TokenScores("Hi", -0.5),)


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {},
        {"content": None},
        {"content": [{"token": "Hi"}]},
        {"content": [{"token": 3, "logprob": -1}]},
        {"content": ["Hi"]},
        {"tokens": ["Hi"], "token_logprobs": [None]},
        {"tokens": ["Hi", "!"], "token_logprobs": [-1.0]},
        {"tokens": "Hi", "token_logprobs": 3},
    ],
)
def test_what_makes_no_sense_is_nothing(found: Any) -> None:
    assert tokens_of({"logprobs": found}) == ()
