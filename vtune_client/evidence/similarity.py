"""How alike two texts are: a score for rows where the endpoint gives no log-probabilities.

chrF (Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"): it needs no
tokenizer and no language, and counts what two texts share wherever in them it stands. Written here
because difflib's ratio takes quadratic time and treats frequent characters of texts of 200 and more
as noise, and no other part of the package needs a library of string distances.
"""

from __future__ import annotations

from collections import Counter

LONGEST = 6  # characters of an n-gram
RECALL_WEIGHT = 2.0  # recall counts as much as this many times precision, squared in the mean


def similarity(answer: str, completion: str) -> float:
    """Return chrF of the answer against the completion: 0 for nothing in common, 1 for the same.

    White space does not count, case does. N-grams longer than either text are left out.
    """
    said, true = "".join(answer.split()), "".join(completion.split())
    orders = range(1, min(LONGEST, len(said), len(true)) + 1)
    if not orders:
        return 0.0
    shares = [_shares(_grams(said, order), _grams(true, order)) for order in orders]
    precision = sum(share[0] for share in shares) / len(shares)
    recall = sum(share[1] for share in shares) / len(shares)
    weight = RECALL_WEIGHT**2
    total = weight * precision + recall
    return (1 + weight) * precision * recall / total if total else 0.0


def _shares(said: Counter[str], true: Counter[str]) -> tuple[float, float]:
    """Return which share of what was said is true, and which share of what is true was said."""
    both = (said & true).total()
    return both / said.total(), both / true.total()


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))
