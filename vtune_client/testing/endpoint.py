"""What every endpoint does, whatever stands behind it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from difflib import SequenceMatcher

import pytest
import pytest_asyncio

from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, ProviderError
from vtune_client.provider import (
    Answer,
    Decoding,
    Endpoint,
    EndpointCapabilities,
    ScoresNotOffered,
)
from vtune_client.testing.samples import PROMPTS

REFUSED = (ProviderError, InputError)
GREEDY = Decoding(max_tokens=16)
# Greedy answers and scores may differ a little with what else is in the batch.
SCORE_NOISE = 1.0  # nats, of a short text in half precision


class EndpointConformance:
    """Override the fixtures `endpoint` and `model`, and what else does not suit the service."""

    @pytest.fixture
    def endpoint(self) -> Endpoint:
        """The endpoint to be tested, made anew for every test."""
        raise NotImplementedError("give the fixture `endpoint`")

    @pytest.fixture
    def model(self) -> str:
        """The name of a model that it serves."""
        raise NotImplementedError("give the fixture `model`")

    @pytest.fixture
    def unknown_model(self) -> str | None:
        """The name of a model that it does not serve; None where it cannot tell."""
        return "no-such-model-of-anyones"

    @pytest.fixture
    def prompts(self) -> Sequence[Prompt]:
        """Three different prompts."""
        return PROMPTS

    @pytest.fixture
    def continuations(self) -> Sequence[str]:
        """Three different beginnings of an answer."""
        return ("Here is what I know.", "Tell me about bread.", "I know of rivers.")

    @pytest.fixture
    def refused(self) -> Endpoint | None:
        """An endpoint with a key that the service does not take, where keys are asked for."""
        return None

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """What may stand in no repr, log or error: the keys of `endpoint` and of `refused`."""
        return ()

    @pytest_asyncio.fixture
    async def acquired(self, endpoint: Endpoint, model: str) -> AsyncIterator[Endpoint]:
        try:
            await endpoint.acquire(model)
            yield endpoint
        finally:
            await endpoint.release()

    def test_capabilities_make_sense(self, endpoint: Endpoint) -> None:
        has = endpoint.capabilities
        assert isinstance(has, EndpointCapabilities)
        assert has.batch >= 1
        assert has.concurrency >= 1
        assert has.top_logprobs >= 0

    def test_repr_shows_no_secret(self, endpoint: Endpoint, secrets: Sequence[str]) -> None:
        assert not any(secret in repr(endpoint) for secret in secrets)

    @pytest.mark.asyncio
    async def test_release_is_safe_whenever(
        self, endpoint: Endpoint, model: str, prompts: Sequence[Prompt]
    ) -> None:
        await endpoint.release()
        for _ in range(2):
            await endpoint.acquire(model)
            try:
                assert len(await endpoint.sample(prompts[:1], GREEDY)) == 1
            finally:
                await endpoint.release()
                await endpoint.release()

    @pytest.mark.asyncio
    async def test_answers_come_in_the_order_of_the_prompts(
        self, acquired: Endpoint, prompts: Sequence[Prompt]
    ) -> None:
        there = _texts(await acquired.sample(prompts, GREEDY), len(prompts))
        back = _texts(await acquired.sample(prompts[::-1], GREEDY), len(prompts))
        assert _likeness(there, back[::-1]) >= _likeness(there, back)
        assert list(await acquired.sample([], GREEDY)) == []

    @pytest.mark.asyncio
    async def test_what_was_said_and_the_key_are_not_shown(
        self,
        acquired: Endpoint,
        prompts: Sequence[Prompt],
        secrets: Sequence[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        marked = Prompt(messages=({"role": "user", "content": "Say nothing of xylophones."},))
        answers = await acquired.sample([marked], GREEDY)
        shown = f"{caplog.text} {acquired!r} {answers!r}"
        assert not any(secret in shown for secret in (*secrets, "xylophones"))

    @pytest.mark.asyncio
    async def test_an_answer_is_no_longer_than_asked_for(
        self, acquired: Endpoint, prompts: Sequence[Prompt]
    ) -> None:
        for answer in await acquired.sample(prompts, Decoding(max_tokens=1)):
            assert answer.finish in ("length", "stop")
            assert len(answer.text.split()) <= 2

    @pytest.mark.asyncio
    async def test_greedy_answers_agree(
        self, acquired: Endpoint, prompts: Sequence[Prompt]
    ) -> None:
        pair = await acquired.sample([prompts[0], prompts[0]], GREEDY)
        alone = [(await acquired.sample(prompts[:1], GREEDY))[0] for _ in range(2)]
        counts = Counter(_texts([*pair, *alone], 4))
        assert max(counts.values()) >= 2, "four greedy answers to one prompt all differ"

    @pytest.mark.asyncio
    async def test_scores_are_log_probabilities(
        self, acquired: Endpoint, prompts: Sequence[Prompt], continuations: Sequence[str]
    ) -> None:
        try:
            scores = await acquired.score(prompts[0], continuations)
        except ScoresNotOffered:
            return  # which is learned from the first call in some cases
        assert acquired.capabilities.scores
        assert len(scores) == len(continuations)
        assert all(math.isfinite(score) and score <= 0 for score in scores)
        back = await acquired.score(prompts[0], continuations[::-1])
        assert list(back)[::-1] == pytest.approx(list(scores), abs=SCORE_NOISE)
        assert list(await acquired.score(prompts[0], [])) == []

    @pytest.mark.asyncio
    async def test_no_scores_are_said_not_to_be_offered(
        self, acquired: Endpoint, prompts: Sequence[Prompt], continuations: Sequence[str]
    ) -> None:
        if acquired.capabilities.scores:
            pytest.skip("scores are offered")
        with pytest.raises(ScoresNotOffered):
            await acquired.score(prompts[0], continuations)

    @pytest.mark.asyncio
    async def test_token_scores_go_with_the_answer(
        self, acquired: Endpoint, prompts: Sequence[Prompt]
    ) -> None:
        wanted = min(3, acquired.capabilities.top_logprobs)
        [plain] = await acquired.sample(prompts[:1], GREEDY)
        assert tuple(plain.tokens) == ()
        if not wanted:
            return
        [answer] = await acquired.sample(prompts[:1], Decoding(max_tokens=16, top_logprobs=wanted))
        assert "".join(token.text for token in answer.tokens).strip() == answer.text.strip()
        for token in answer.tokens:
            logs = [log for _, log in token.top]
            assert token.logprob <= 0
            assert 1 <= len(logs) <= wanted
            assert sorted(logs, reverse=True) == logs

    @pytest.mark.asyncio
    async def test_a_model_that_is_not_there_is_refused(
        self,
        endpoint: Endpoint,
        unknown_model: str | None,
        prompts: Sequence[Prompt],
        secrets: Sequence[str],
    ) -> None:
        if unknown_model is None:
            pytest.skip("this endpoint answers for any model")
        with pytest.raises(REFUSED) as caught:
            await _answered(endpoint, unknown_model, prompts)
        assert not any(secret in str(caught.value) for secret in secrets)

    @pytest.mark.asyncio
    async def test_a_wrong_key_is_refused_and_not_shown(
        self,
        refused: Endpoint | None,
        model: str,
        prompts: Sequence[Prompt],
        secrets: Sequence[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        if refused is None:
            pytest.skip("no keys are asked for")
        caplog.set_level("DEBUG")
        with pytest.raises(REFUSED) as caught:
            await _answered(refused, model, prompts)
        said = f"{caught.value} {refused!r} {caplog.text}"
        assert not any(secret in said for secret in secrets)


async def _answered(endpoint: Endpoint, model: str, prompts: Sequence[Prompt]) -> None:
    """Ask once; whether `acquire` or `sample` notices what is wrong is the endpoint's choice."""
    try:
        await endpoint.acquire(model)
        await endpoint.sample(prompts[:1], GREEDY)
    finally:
        await endpoint.release()


def _texts(answers: Sequence[Answer], count: int) -> list[str]:
    assert len(answers) == count
    assert all(isinstance(answer, Answer) for answer in answers)
    return [answer.text for answer in answers]


def _likeness(ones: Sequence[str], others: Sequence[str]) -> float:
    """Return how alike texts at the same places are; equal lists are alike as no others are."""
    pairs = zip(ones, others, strict=True)
    return sum(SequenceMatcher(None, one, other).ratio() for one, other in pairs)
