"""The local endpoint, against plain computations on the same model."""

from __future__ import annotations

import gc
import shutil
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.providers.local.runs import new_run, trained
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, ProviderError
from vtune_client.provider import Decoding

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from vtune_providers.local.encode import encode_prompt
from vtune_providers.local.endpoint import SCORE_BATCH, LocalEndpoint

GREEDY = Decoding(max_tokens=12)


def chat(*turns: str) -> Prompt:
    roles = ("user", "assistant")
    return Prompt(
        messages=tuple({"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns))
    )


PROMPTS = [
    chat("Tell me about rivers number 3."),
    chat("Tell me about bread."),
    chat("Tell me about salt number 7.", "Here is what I know of salt.", "Tell me about clocks."),
    chat("Be brief."),
    Prompt(text="Tell me about"),
    Prompt(text="Here is what I know of rivers. Tell me about paper number"),
]


class Blind(LlamaForCausalLM):
    """A model that cannot be told where its logits are wanted."""

    def forward(self, input_ids: Any, past_key_values: Any = None, use_cache: Any = None) -> Any:
        return super().forward(input_ids, past_key_values=past_key_values, use_cache=use_cache)


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned to answer and to stop."""
    folder = tmp_path_factory.mktemp("tuned")
    rows = tiny.write_rows(folder / "rows.jsonl")
    return trained(new_run(folder / "run", tiny_model, rows, epochs=12)).output


@pytest.fixture
async def endpoint(tuned: Path) -> AsyncIterator[LocalEndpoint]:
    made = LocalEndpoint()
    await made.acquire(str(tuned))
    yield made
    await made.release()


def changed(tuned: Path, folder: Path, *, tokens: dict[str, Any] | None = None, **own: Any) -> str:
    """Copy the model, with changes to its tokenizer and to how it wants to be sampled."""
    shutil.copytree(tuned, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    for name, value in own.items():
        setattr(model.generation_config, name, value)
    model.generation_config.save_pretrained(folder)
    if tokens is not None:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for name, value in tokens.items():
            setattr(tokenizer, name, value)
        (folder / "chat_template.jinja").unlink()
        tokenizer.save_pretrained(folder)
    return str(folder)


def greedy(folder: Path | str, prompt: Prompt, most: int) -> str:
    """Return the likeliest continuation, one whole forward per token."""
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    ids = encode_prompt(tokenizer, prompt)
    start = len(ids)
    with torch.inference_mode():
        while len(ids) < start + most:
            following = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            if following == tokenizer.eos_token_id:
                break
            ids.append(following)
    return str(tokenizer.decode(ids[start:]))


async def test_batched_answers_are_those_of_plain_greedy_decoding(
    endpoint: LocalEndpoint, tuned: Path
) -> None:
    batched = await endpoint.sample(PROMPTS, GREEDY)
    single = [(await endpoint.sample([prompt], GREEDY))[0] for prompt in PROMPTS]
    assert list(batched) == single
    assert [answer.text for answer in batched] == [greedy(tuned, p, 12) for p in PROMPTS]
    assert len({answer.text for answer in batched}) > 2


async def test_answers_end_at_the_end_mark_or_at_the_limit(endpoint: LocalEndpoint) -> None:
    [whole] = await endpoint.sample(PROMPTS[:1], GREEDY)
    assert (whole.text, whole.finish) == ("Here is what I know of rivers.", "stop")
    [short] = await endpoint.sample(PROMPTS[:1], Decoding(max_tokens=3))
    assert (short.text, short.finish) == ("Here is what", "length")
    # Rows that ended earlier are filled up; the filling is no answer.
    mixed = await endpoint.sample([PROMPTS[0], PROMPTS[4]], Decoding(max_tokens=40))
    assert mixed[0] == whole


async def test_every_end_mark_of_the_model_counts(tuned: Path, tmp_path: Path) -> None:
    mark = AutoTokenizer.from_pretrained(tuned).encode(" know")
    endpoint = LocalEndpoint()
    await endpoint.acquire(changed(tuned, tmp_path / "model", eos_token_id=mark))
    [answer] = await endpoint.sample(PROMPTS[:1], GREEDY)
    assert (answer.text, answer.finish) == ("Here is what I", "stop")


async def test_models_own_taste_bends_no_answer(
    endpoint: LocalEndpoint, tuned: Path, tmp_path: Path
) -> None:
    bent = LocalEndpoint()
    taste: dict[str, Any] = {
        "repetition_penalty": 3.0,
        "do_sample": True,
        "temperature": 0.7,
        "top_k": 5,
    }
    await bent.acquire(changed(tuned, tmp_path / "model", **taste))
    assert await bent.sample(PROMPTS, GREEDY) == await endpoint.sample(PROMPTS, GREEDY)


async def test_sampling_follows_from_the_seed(endpoint: LocalEndpoint) -> None:
    first, again, other = [
        await endpoint.sample(PROMPTS, Decoding(max_tokens=8, temperature=2.0, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert first == again
    assert first != other


async def test_sampling_leaves_out_no_token(tiny_model: Path) -> None:
    endpoint = LocalEndpoint()
    await endpoint.acquire(str(tiny_model))
    flat = Decoding(max_tokens=1, temperature=1000.0, seed=0)
    answers = await endpoint.sample([PROMPTS[0]] * 200, flat)
    assert len({answer.text for answer in answers}) > 100


@pytest.mark.parametrize("prompt", [PROMPTS[0], PROMPTS[2], PROMPTS[5]])
async def test_scores_are_sums_of_log_probabilities(
    prompt: Prompt, endpoint: LocalEndpoint, tuned: Path
) -> None:
    texts = [f"Here is what I know{' of rivers' * (i % 5)} number {i}." for i in range(70)]
    texts += ["", "Here", "Here is what I know of rivers."]
    assert len(texts) > 2 * SCORE_BATCH
    model = AutoModelForCausalLM.from_pretrained(tuned)
    tokenizer = AutoTokenizer.from_pretrained(tuned)
    asked = encode_prompt(tokenizer, prompt)

    scores = await endpoint.score(prompt, texts)

    for text, score in zip(texts, scores, strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False)
        with torch.inference_mode():
            logs = model(torch.tensor([asked + ids])).logits[0].double().log_softmax(-1)
        expected = sum(float(logs[len(asked) + t - 1, token]) for t, token in enumerate(ids))
        assert score == pytest.approx(expected, abs=1e-4)


async def test_scores_of_a_model_that_computes_all_logits(
    endpoint: LocalEndpoint, tuned: Path
) -> None:
    texts = ["Here is what I know.", "Here", ""]
    expected = await endpoint.score(PROMPTS[0], texts)
    endpoint._model = Blind.from_pretrained(tuned)
    assert await endpoint.score(PROMPTS[0], texts) == pytest.approx(expected, abs=1e-5)


async def test_token_scores_are_those_of_plain_forwards(
    endpoint: LocalEndpoint, tuned: Path
) -> None:
    wanted = Decoding(max_tokens=12, top_logprobs=3)
    model = AutoModelForCausalLM.from_pretrained(tuned)
    answers = await endpoint.sample(PROMPTS, wanted)
    plain = await endpoint.sample(PROMPTS, GREEDY)
    assert [answer.text for answer in answers] == [answer.text for answer in plain]
    assert all(answer.tokens == () for answer in plain)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        assert "".join(token.text for token in answer.tokens) == answer.text
        asked = encode_prompt(endpoint._tokenizer, prompt)
        ids = endpoint._tokenizer.encode(answer.text, add_special_tokens=False)
        with torch.inference_mode():
            logs = model(torch.tensor([asked + ids])).logits[0].double().log_softmax(-1)
        for at, (token, id_) in enumerate(zip(answer.tokens, ids, strict=True)):
            here = logs[len(asked) + at - 1]
            assert token.logprob == pytest.approx(float(here[id_]), abs=1e-4)
            best = here.topk(3)
            assert [log for _, log in token.top] == pytest.approx(best.values.tolist(), abs=1e-4)
            assert token.top[0] == (token.text, token.logprob)  # the likeliest, when greedy


async def test_token_scores_are_of_the_untempered_model(endpoint: LocalEndpoint) -> None:
    hot = Decoding(max_tokens=1, temperature=100.0, seed=5, top_logprobs=200)
    [cold] = await endpoint.sample(PROMPTS[:1], Decoding(max_tokens=1, top_logprobs=20))
    drawn = [answer.tokens[0] for answer in await endpoint.sample(PROMPTS[:1] * 4, hot)]
    for token in drawn:
        assert dict(token.top) == pytest.approx(dict(cold.tokens[0].top), abs=1e-4)
        assert len(token.top) == endpoint.capabilities.top_logprobs
    assert min(token.logprob for token in drawn) < -9


async def test_token_scores_do_not_depend_on_how_many_are_held_at_once(
    endpoint: LocalEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Decoding(max_tokens=5, top_logprobs=2)
    whole = await endpoint.sample(PROMPTS, wanted)
    monkeypatch.setattr("vtune_providers.local.endpoint.MOST_LOGITS", 1)
    single = await endpoint.sample(PROMPTS, wanted)
    assert [answer.text for answer in single] == [answer.text for answer in whole]
    for one, other in zip(single, whole, strict=True):
        assert [t.logprob for t in one.tokens] == pytest.approx(
            [t.logprob for t in other.tokens], abs=1e-4
        )


async def test_nothing_asked_is_nothing_answered(endpoint: LocalEndpoint) -> None:
    assert await endpoint.sample([], GREEDY) == []
    assert await endpoint.score(PROMPTS[0], []) == []
    assert await endpoint.score(PROMPTS[0], [""]) == [0.0]
    with pytest.raises(InputError, match="prompt is empty"):
        await endpoint.sample([Prompt(text="")], GREEDY)


async def test_asking_before_acquire_and_after_release(tuned: Path) -> None:
    endpoint = LocalEndpoint()
    await endpoint.release()
    for _ in range(2):
        with pytest.raises(ProviderError, match="No model is loaded"):
            await endpoint.sample(PROMPTS, GREEDY)
        with pytest.raises(ProviderError, match="No model is loaded"):
            await endpoint.score(PROMPTS[0], ["Here"])
        await endpoint.acquire(str(tuned))
        await endpoint.release()


async def test_release_and_acquire_let_go_of_the_model(
    endpoint: LocalEndpoint, tuned: Path
) -> None:
    first = weakref.ref(endpoint._model)
    await endpoint.acquire(str(tuned))
    second = weakref.ref(endpoint._model)
    assert second() is not None
    await endpoint.release()
    gc.collect()
    assert (first(), second()) == (None, None)


async def test_failed_acquire_leaves_no_model(endpoint: LocalEndpoint) -> None:
    with pytest.raises(InputError, match="There is no directory"):
        await endpoint.acquire("/no/such/model")
    with pytest.raises(ProviderError, match="No model is loaded"):
        await endpoint.sample(PROMPTS, GREEDY)


async def test_tokenizer_without_padding_or_template(
    endpoint: LocalEndpoint, tuned: Path, tmp_path: Path
) -> None:
    bare = LocalEndpoint()
    tokens = {"pad_token": None, "chat_template": None}
    await bare.acquire(changed(tuned, tmp_path / "model", tokens=tokens))
    assert bare._tokenizer.pad_token_id is None
    assert bare._tokenizer.chat_template is None
    # Turns are lines then, as the tiny model's own template writes them.
    assert await bare.sample(PROMPTS, GREEDY) == await endpoint.sample(PROMPTS, GREEDY)
    texts = ["Here is", "Here is what I know of salt."]
    assert await bare.score(PROMPTS[0], texts) == pytest.approx(
        await endpoint.score(PROMPTS[0], texts), abs=1e-4
    )
