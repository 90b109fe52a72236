"""How models are kept ready and asked, on an endpoint that counts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from vtune_client.dataset import Prompt
from vtune_client.errors import InputError
from vtune_client.provider import Answer, Decoding, Endpoint, EndpointCapabilities
from vtune_client.serve.models import Models
from vtune_client.serve.records import JobRecord
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.store import Shelf, Store, job_record

GREEDY = Decoding(temperature=0)


class Counting(Endpoint):
    """Answers with the question; refuses "bad"; each character of a continuation costs a nat."""

    capabilities = EndpointCapabilities(batch=4, scores=True)

    def __init__(self, log: list[tuple[str, object]]) -> None:
        self._log = log

    async def acquire(self, model: str) -> None:
        self._log.append(("acquire", model))

    async def release(self) -> None:
        self._log.append(("release", ""))

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        await asyncio.sleep(0)
        asked = [prompt.text or "" for prompt in prompts]
        self._log.append(("sample", asked))
        if "bad" in asked:
            raise InputError("That one is bad.")
        return [Answer(text) for text in asked]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return [-float(len(text)) for text in continuations]


@pytest.fixture
def log() -> list[tuple[str, object]]:
    return []


@pytest.fixture
def models(tmp_path: Path, log: list[tuple[str, object]]) -> Models:
    jobs: Shelf[JobRecord] = Shelf(Store(tmp_path / "store"), "job", job_record)
    bases = {name: f"/{name}" for name in "abc"}
    return Models(bases, jobs, lambda: Counting(log), since=0.0, kept=2)


def sampled(log: list[tuple[str, object]]) -> list[object]:
    return [value for what, value in log if what == "sample"]


async def ask(models: Models, text: str, decoding: Decoding = GREEDY, model: str = "a") -> str:
    return (await models.answer(model, Prompt(text=text), decoding)).text


async def test_those_who_wait_are_asked_together(
    models: Models, log: list[tuple[str, object]]
) -> None:
    texts = [f"q{number}" for number in range(9)]
    assert await asyncio.gather(*(ask(models, text) for text in texts)) == texts
    assert [len(batch) for batch in sampled(log)] in ([1, 4, 4], [4, 4, 1])  # type: ignore[arg-type]
    assert [value for what, value in log if what == "acquire"] == ["/a"]


async def test_draws_are_not_mixed(models: Models, log: list[tuple[str, object]]) -> None:
    await asyncio.gather(*(ask(models, "q", Decoding(temperature=1, seed=1)) for _ in range(3)))
    assert sampled(log) == [["q"]] * 3
    log.clear()
    longer = Decoding(temperature=0, max_tokens=5)
    await asyncio.gather(ask(models, "q0"), ask(models, "q1"), ask(models, "q2", longer))
    assert ["q2"] in sampled(log)


async def test_one_that_is_refused_takes_nobody_along(models: Models) -> None:
    texts = ["one", "two", "bad", "three"]
    answers = await asyncio.gather(*(ask(models, text) for text in texts), return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, str)] == ["one", "two", "three"]
    assert isinstance(answers[2], InputError)
    assert await ask(models, "again") == "again"


async def test_only_the_last_models_stay_ready(
    models: Models, log: list[tuple[str, object]]
) -> None:
    for name in "aba":
        await ask(models, "q", model=name)
    assert ("release", "") not in log
    for name in "cab":  # c takes the place of b, which was asked longer ago than a
        await ask(models, "q", model=name)
    acquired = [value for what, value in log if what == "acquire"]
    assert acquired == ["/a", "/b", "/c", "/b"]
    assert log.count(("release", "")) == 2
    await models.aclose()
    assert log.count(("release", "")) == 4


async def test_a_model_is_not_put_away_while_it_is_asked(models: Models) -> None:
    asked = [ask(models, f"q{name}", model=name) for name in "abcabc"]
    assert await asyncio.gather(*asked) == [f"q{name}" for name in "abcabc"]


async def test_a_text_is_scored_word_by_word(models: Models) -> None:
    scored = await models.score_text("a", "One two\n three ")
    assert [token.text for token in scored] == ["One", " two", "\n", " three", " "]
    assert math.isnan(scored[0].logprob)
    assert [token.logprob for token in scored[1:]] == [-4.0, -1.0, -6.0, -1.0]
    assert len(await models.score_text("a", "One")) == 1
    with pytest.raises(InputError):
        await models.score_text("a", "")


async def test_only_named_models_are_opened(models: Models, log: list[tuple[str, object]]) -> None:
    for name in ("/a", "../a", "d"):
        with pytest.raises(Refusal):
            await ask(models, "q", model=name)
    assert log == []
