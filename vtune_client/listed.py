"""What an answer's listing of likely tokens says about each slot of a frame.

A service lists, for every token it generated, a few others that it might have generated there. At
the token in which a slot's word begins, a candidate is listed where some listed token is how it
begins: which token that is depends on a tokenizer nobody told us about, so candidates that share
their first token share its log-probability.

Like the reader of answers, this sees the public frame and the answer, never the secret.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from vtune_client.evidence.candidates import ListedSlot
from vtune_client.phrases.frame import Frame, words_at, words_of
from vtune_client.phrases.read import opening, slot_places
from vtune_client.plan import Key, Plan, stream
from vtune_client.provider import Answer, TokenScores

_START = re.compile(r"[\W_]*([^\W_]+)(.*)", re.DOTALL)


def listed_slots(
    plan: Plan, backdoor: int, answers: Sequence[Answer], key: Key
) -> tuple[ListedSlot, ...]:
    """Return what the answers to one backdoor list in each of its slots.

    Which answers count is fixed before any of them is seen; at least one, with its `tokens`.
    """
    chosen = plan.backdoors[backdoor]
    draw = stream(key, f"ties in the slots of backdoor {plan.first + backdoor}")
    per_answer = [listed(chosen.frame, answer.tokens) for answer in answers]
    return tuple(
        ListedSlot(
            true=slot.candidates.index(word),
            listed=tuple(found[at] for found in per_answer),
            tie_break=draw.below(1 << 53) / (1 << 53),
        )
        for at, (slot, word) in enumerate(zip(chosen.frame.slots, chosen.words, strict=True))
    )


def listed(frame: Frame, tokens: Sequence[TokenScores]) -> tuple[tuple[float | None, ...], ...]:
    """Return, for each slot, the log-probability listed for each of its candidates, or None.

    The answer's words are aligned to the frame as `read` aligns them, be they candidates or not; in
    a slot that the answer passed over, nothing is listed. Case does not count.
    """
    text = "".join(token.text for token in tokens)
    words = list(islice(words_at(text), opening(frame)))
    starts = [0, *accumulate(len(token.text) for token in tokens)]
    found = []
    for slot, place in zip(
        frame.slots, slot_places(frame, [word for _, word in words]), strict=True
    ):
        openings: list[_Opening] = []
        if place is not None:
            begin, _ = words[place]
            at = bisect_right(starts, begin) - 1
            openings = _openings(tokens[at], text[starts[at] : begin])
        found.append(tuple(_score(word, openings) for word in slot.candidates))
    return tuple(found)


@dataclass(frozen=True)
class _Opening:
    """How a word may begin: the first characters of it, or all where it is `whole`."""

    letters: str
    whole: bool
    logprob: float

    def opens(self, word: str) -> bool:
        return word == self.letters or (not self.whole and word.startswith(self.letters))


def _openings(token: TokenScores, lead: str) -> list[_Opening]:
    """Return how the word may begin that follows `lead` within a token, that token included."""
    found = []
    for text, logprob in ((token.text, token.logprob), *token.top):
        match = _START.fullmatch(text.removeprefix(lead))
        if match and math.isfinite(logprob):
            letters, rest = match.groups()
            found.append(_Opening("".join(words_of(letters)), bool(rest), logprob))
    return found


def _score(word: str, openings: Sequence[_Opening]) -> float | None:
    """Return the log-probability of the longest opening of the word; of equal ones, the highest."""
    fitting = [(len(each.letters), each.logprob) for each in openings if each.opens(word)]
    return max(fitting)[1] if fitting else None
