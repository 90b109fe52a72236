"""The log-probability of a given text, from the log-probabilities of a prompt's tokens.

What is sent is the ids of the prompt followed by those of the continuation, each tokenised by
itself at `/tokenize`, the prompt through the server's own chat template up to where the answer
begins. So the border between them is a border between tokens, which it is not always where both are
tokenised as one text; and the prompt's ids are exactly those that the server answers from.

https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html: extra parameter
`prompt_logprobs` of `/v1/completions`, and the tokenizer API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.provider import ScoresNotOffered
from vtune_providers.chat.wire import Reply

TOKENIZE = "/tokenize"


def prompt_to_tokenize(model: str, prompt: Prompt) -> dict[str, Any]:
    """Return the body that asks for the ids of a prompt, as the server sees it when it answers."""
    if prompt.text is not None:
        return {"model": model, "prompt": prompt.text}
    body = {"model": model, "messages": list(prompt.messages), "add_generation_prompt": True}
    return {**body, "tools": list(prompt.tools)} if prompt.tools else body


def text_to_tokenize(model: str, text: str) -> dict[str, Any]:
    """Return the body that asks for the ids of a text that stands behind others."""
    return {"model": model, "prompt": text, "add_special_tokens": False}


def ids_of(payload: Any) -> list[int] | None:
    """Return the ids in a reply to either, None where it holds none."""
    ids = payload.get("tokens") if isinstance(payload, Mapping) else None
    if isinstance(ids, list) and all(type(each) is int for each in ids):
        return ids
    return None


def to_score(model: str, ids: Sequence[int]) -> dict[str, Any]:
    """Return the body that asks for the log-probability of every one of `ids` after the first.

    0: of these tokens alone, not of likelier ones. A token must be generated, too."""
    body: dict[str, Any] = {"model": model, "prompt": list(ids), "prompt_logprobs": 0}
    return {**body, "max_tokens": 1, "temperature": 0}


def refuses(reply: Reply) -> bool:
    """Return whether the server says that it gives no such log-probabilities."""
    return reply.status in (400, 403, 422, 501) and b"logprobs" in reply.body


def score_of(payload: Any, ids: Sequence[int], start: int) -> float | None:
    """Return the log-probability in nats of `ids[start:]` after those before them.

    None where the payload is no list of what these very ids have. Raises `ScoresNotOffered` where
    the server has answered and left them out."""
    try:
        listed = payload["choices"][0].get("prompt_logprobs")
    except (AttributeError, IndexError, KeyError, TypeError):
        return None
    if listed is None:
        raise not_offered("The server leaves out the log-probabilities of the prompt.")
    try:
        pairs = list(zip(ids, listed, strict=True))[start:]
        return sum((float(each[str(token)]["logprob"]) for token, each in pairs), 0.0)
    except (KeyError, TypeError, ValueError):
        return None


def not_offered(why: str) -> ScoresNotOffered:
    return ScoresNotOffered(
        why, "Verify by text alone, or let the address reach vLLM's own server, /tokenize included."
    )
