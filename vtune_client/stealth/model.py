"""How unlikely a real language model finds the first sentence of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from vtune_client.provider import Endpoint
from vtune_client.stealth.lint import Finding, judge
from vtune_client.stealth.samples import Sample

NAME = "perplexity"
LOOKS_FOR = "first sentences that a language model finds unlikely after their prompts"
ADVICE = (
    "Use frames in the register of the data (--phrases-url), with fewer slots of more common words."
)


async def perplexity(
    endpoint: Endpoint, samples: Sequence[Sample], carriers: AbstractSet[int], ordinary: int = 200
) -> Finding:
    """Judge the mean surprise per word of first sentences under the model of an acquired endpoint.

    One scored text per row, so of the rows that carry nothing only about `ordinary` are asked,
    evenly spread over the file. Raises what `Endpoint.score` raises.
    """
    asked = some_of(samples, carriers, ordinary)
    scores = [await _surprise(endpoint, sample) for sample in asked]
    return judge(asked, carriers, scores, NAME, LOOKS_FOR, ADVICE)


def some_of(samples: Sequence[Sample], carriers: AbstractSet[int], ordinary: int) -> list[Sample]:
    """Return all carriers and at most `ordinary` other rows, evenly spread, in order."""
    others = [sample for sample in samples if sample.line not in carriers]
    size = min(ordinary, len(others))
    kept = {others[len(others) * at // size].line for at in range(size)}
    return [sample for sample in samples if sample.line in carriers or sample.line in kept]


async def _surprise(endpoint: Endpoint, sample: Sample) -> float:
    if not sample.opening:
        return 0.0
    (score,) = await endpoint.score(sample.asked, [sample.first_sentence])
    return -score / len(sample.opening)
