"""The log-probabilities of an answer's tokens, in the shapes that services have for them.

Chat: https://platform.openai.com/docs/api-reference/chat/object (`choices[].logprobs.content`).
Completions: https://platform.openai.com/docs/api-reference/completions/object (parallel lists).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vtune_client.provider import TokenScores


def tokens_of(choice: Mapping[str, Any]) -> tuple[TokenScores, ...]:
    """Return the scores of a choice's tokens, () where it brings none or they make no sense."""
    found = choice.get("logprobs")
    if not isinstance(found, Mapping):
        return ()
    listed = found.get("content")
    try:
        tokens = map(_chat_token, listed) if isinstance(listed, list) else _text_tokens(found)
        return tuple(tokens)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ()


def _chat_token(token: Mapping[str, Any]) -> TokenScores:
    likeliest = token.get("top_logprobs") or ()
    top = tuple((_text(each["token"]), float(each["logprob"])) for each in likeliest)
    return TokenScores(_text(token["token"]), float(token["logprob"]), top)


def _text_tokens(found: Mapping[str, Any]) -> Iterable[TokenScores]:
    texts, scores = found["tokens"], found["token_logprobs"]
    likeliest = found.get("top_logprobs") or [None] * len(texts)
    for text, score, top in zip(texts, scores, likeliest, strict=True):
        pairs = tuple((_text(name), float(value)) for name, value in (top or {}).items())
        yield TokenScores(_text(text), float(score), pairs)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a token's text is a string")
    return value
