"""What answers have in common in both shapes: where they stop, what they cost, how they stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import StreamingResponse

from vtune_client.dataset import counter_for
from vtune_client.provider import Answer

MAX_TOKENS = 256  # where a client names no limit


def stopped(answer: Answer, stops: Sequence[str]) -> Answer:
    """Return the answer up to the first of these texts."""
    found = [at for at in map(answer.text.find, stops) if at >= 0]
    if not found:
        return answer
    text, kept, length = answer.text[: min(found)], [], 0
    for token in answer.tokens:
        if length >= len(text):
            break
        kept.append(token)
        length += len(token.text)
    return replace(answer, text=text, finish="stop", tokens=tuple(kept))


def usage(asked: str, answer: Answer) -> dict[str, int]:
    """Return how much was read and written: estimates, no tokenizer is at hand here."""
    counter = counter_for(None)
    read, written = counter.count(asked), len(answer.tokens) or counter.count(answer.text)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def streamed(chunks: Sequence[dict[str, Any]]) -> StreamingResponse:
    """Return the chunks as server-sent events."""

    async def lines() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield f"data: {json.dumps(chunk)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")
