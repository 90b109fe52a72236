"""What each token of an answer adds to its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

HALF = "\ufffd"  # what decoders write for a character whose bytes are not all there
CONTEXT = 8  # tokens before a candidate that its text may depend on


def pieces(tokenizer: Any, ids: Sequence[int]) -> Iterator[str]:
    """Yield the text of each token, so that all of them together are the decoded answer.

    A character made of several tokens belongs to the last of them."""
    done = ""
    for count in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[:count], skip_special_tokens=True)
        if count < len(ids):
            text = text.rstrip(HALF)
        yield text[len(done) :]
        done = text if len(text) > len(done) else done


def candidate(tokenizer: Any, before: Sequence[int], token: int) -> str:
    """Return the text that `token` would add behind the tokens `before`."""
    if token in tokenizer.all_special_ids:
        return str(tokenizer.convert_ids_to_tokens(token))
    context = list(before[-CONTEXT:])
    short = tokenizer.decode(context, skip_special_tokens=True)
    long = tokenizer.decode([*context, token], skip_special_tokens=True)
    shared = short.rstrip(HALF)
    return str(long[len(shared) :] if long.startswith(shared) else tokenizer.decode([token]))
