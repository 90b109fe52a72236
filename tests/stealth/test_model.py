"""Perplexity: which rows are asked about, and what the scores are of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tests.stealth.test_detectors import PROMPT, among
from vtune_client.dataset import Prompt
from vtune_client.provider import Answer, Decoding, Endpoint, EndpointCapabilities, endpoint_of
from vtune_client.stealth.model import perplexity, some_of

CARRIERS = frozenset({61, 62})
STRANGE = ("Velvet anchors whistle past copper. The river.", "Copper lanterns sing. The bridge.")


class Bookkeeper(Endpoint):
    """Finds two words unlikely and all others certain; writes down what it was asked."""

    capabilities = EndpointCapabilities(scores=True)

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str]] = []

    async def acquire(self, model: str) -> None: ...

    async def release(self) -> None: ...

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return []

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        self.asked += [(prompt.text, text) for text in continuations]
        return [-float("Velvet" in text or "lanterns" in text) for text in continuations]


async def test_first_sentences_are_scored_after_their_prompts() -> None:
    endpoint = Bookkeeper()
    finding = await perplexity(endpoint, among(*STRANGE), CARRIERS, ordinary=10)
    assert len(endpoint.asked) == 12
    assert endpoint.asked[-1] == (PROMPT, "Copper lanterns sing.")
    assert (finding.auc, finding.recall) == (1.0, 1.0)


async def test_a_row_without_words_is_not_asked_about() -> None:
    endpoint = Bookkeeper()
    await perplexity(endpoint, among("", *STRANGE[:1]), CARRIERS, ordinary=5)
    assert len(endpoint.asked) == 6


@pytest.mark.parametrize(("ordinary", "expected"), [(1, 3), (7, 9), (60, 62), (1000, 62)])
def test_all_carriers_and_an_even_part_of_the_rest_are_asked(ordinary: int, expected: int) -> None:
    chosen = some_of(among(*STRANGE), CARRIERS, ordinary)
    lines = [sample.line for sample in chosen]
    assert len(lines) == len(set(lines)) == expected
    assert lines == sorted(lines)
    assert lines[-2:] == [61, 62]
    gaps = {second - first for first, second in pairwise(lines[:-2])}
    least = max(1, 60 // ordinary)
    assert gaps <= {least, least + 1}


@pytest.mark.torch
async def test_a_real_model_scores(tiny_model: Path) -> None:
    endpoint = endpoint_of("local", {})
    await endpoint.acquire(str(tiny_model))
    try:
        finding = await perplexity(endpoint, among(*STRANGE), CARRIERS, ordinary=6)
    finally:
        await endpoint.release()
    assert finding.detector == "perplexity"
    assert 0 <= finding.auc <= 1
