"""What is refused before anything is sent, and what it would cost."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

from tests import tiny
from tests.loopback import Reply, refusal
from tests.providers.openai.made import training
from tests.providers.openai.scripted import scripted
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import JobSpec
from vtune_providers.openai.preflight import (
    check_shutdown,
    check_spec,
    estimated,
    problems_of,
    row_limit,
)
from vtune_providers.openai.presets import AZURE, GENERIC, NEBIUS, OPENAI, Preset
from vtune_providers.openai.settings import checked
from vtune_providers.openai.trainer import OpenAITrainer

MODEL = "gpt-4.1-mini-2025-04-14"
TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (JobSpec(MODEL, learning_rate=1e-4), "learning_rate_multiplier"),
        (JobSpec(MODEL, method="reinforcement"), "does not train with the method"),
        (JobSpec(MODEL, suffix="x" * 65), "at most 64"),
        (JobSpec(MODEL, options={"metadata": {"a": 1}}), "option metadata"),
        (JobSpec(MODEL, options={"metadata": ["a"]}), "option metadata"),
        (JobSpec(MODEL, options={"metadata": {"a": "x" * 513}}), "option metadata"),
        (JobSpec(MODEL, options={"metadata": {str(n): "x" for n in range(16)}}), "option metadata"),
    ],
)
def test_a_recipe_without_words_for_it_is_refused(spec: JobSpec, why: str) -> None:
    with pytest.raises(InputError, match=why):
        check_spec(spec, OPENAI)


def test_a_recipe_with_words_is_not() -> None:
    check_spec(JobSpec(MODEL, method="dpo", suffix="x" * 64, epochs=3), OPENAI)
    with pytest.raises(InputError, match="at most 40"):
        check_spec(JobSpec(MODEL, suffix="x" * 64), AZURE)


def test_a_file_too_large_or_too_short(tmp_path: Path) -> None:
    short = tiny.write_rows(tmp_path / "short.jsonl", 9)
    assert [problem.reason for problem in problems_of(short, GENERIC)] == [
        "too few rows: 9; at least 10 are needed"
    ]
    short.write_bytes(short.read_bytes() + b"\n  \n")
    assert problems_of(short, GENERIC)
    enough = tiny.write_rows(tmp_path / "enough.jsonl", 10)
    assert problems_of(enough, OPENAI) == []
    (problem,) = problems_of(enough, Preset("small", max_bytes=100))
    assert "small takes files of 100 at most" in problem.reason


@pytest.mark.parametrize("said", [None, "", "soon", "2027-06-01", "2027-06-01T00:00:00Z"])
def test_a_model_that_stays_is_taken_without_a_word(
    said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check_shutdown("m", {"shutdown_date": said}, TODAY)
    assert caplog.records == []


def test_a_model_that_goes_soon_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_shutdown("m", {"shutdown_date": "2027-01-14"}, TODAY)
    assert "shuts the model 'm' down on 2027-01-14" in caplog.text


@pytest.mark.parametrize("said", ["2026-11-21", "2026-10-23T00:00:00Z"])
def test_a_model_that_is_gone_is_refused(said: str) -> None:
    with pytest.raises(InputError, match="shut the model 'm' down"):
        check_shutdown("m", {"shutdown_date": said}, TODAY)


@pytest.mark.parametrize(
    ("model", "preset", "limit"),
    [
        (MODEL, OPENAI, 65_536),
        ("gpt-3.5-turbo-0125", OPENAI, 16_385),
        ("ft:gpt-3.5-turbo-0125:acme::abc", OPENAI, 16_385),
        ("gpt-35-turbo", AZURE, 16_385),
        ("llama", NEBIUS, None),
        (MODEL, GENERIC, None),
    ],
)
def test_the_limit_on_a_row(model: str, preset: Preset, limit: int | None) -> None:
    assert row_limit(model, preset) == limit


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("gpt-4.1-2025-04-14", 25.0),
        ("gpt-4.1-mini-2025-04-14", 5.0),
        ("gpt-4.1-nano", 1.5),
        ("gpt-4o-mini-2024-07-18", 3.0),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", 3.0),
    ],
)
def test_the_price_is_the_models(rows: Path, model: str, rate: float) -> None:
    found = estimated(rows, JobSpec(model, epochs=3), OPENAI, None)
    assert found.tokens
    assert found.tokens % 3 == 0
    assert found.price == pytest.approx(rate * found.tokens / 1e6)
    assert f"list price of 2025 (${rate:g})" in found.source


def test_a_price_that_was_given_goes_before(rows: Path) -> None:
    for preset in (OPENAI, GENERIC):
        found = estimated(rows, JobSpec(MODEL, epochs=2), preset, 10.0)
        assert found.tokens
        assert found.price == pytest.approx(10 * found.tokens / 1e6)
        assert "was given" in found.source


def test_what_is_not_known_is_not_guessed(rows: Path) -> None:
    unset = estimated(rows, JobSpec(MODEL), OPENAI, 10.0)
    assert (unset.price, unset.tokens) == (None, None)
    assert "the service chooses" in unset.source
    assert estimated(rows, JobSpec("gpt-9", epochs=1), OPENAI, None).price is None
    assert estimated(rows, JobSpec(MODEL, epochs=1), AZURE, None).price is None


async def test_the_trainer_offers_both(rows: Path) -> None:
    with scripted({}) as server:
        async with training(server, price_per_million=1.0, preset="openai") as trainer:
            assert (await trainer.estimate(rows, JobSpec(MODEL, epochs=1))).price
            assert await trainer.max_row_tokens(MODEL) == 65_536
    assert server.seen == []


async def looked_up(rows: Path, reply: Reply, **given: Any) -> Any:
    with scripted({f"GET /v1/models/{MODEL}": reply}) as server:
        async with training(server, **given) as trainer:
            return await trainer.check(rows, JobSpec(MODEL))


async def test_the_model_is_looked_up(rows: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert list(await looked_up(rows, Reply(body={"id": MODEL, "shutdown_date": None}))) == []
    assert caplog.records == []
    with pytest.raises(InputError, match="shut the model"):
        await looked_up(rows, Reply(body={"id": MODEL, "shutdown_date": "2020-01-01"}))
    with pytest.raises(ProviderError, match="does not accept the key"):
        await looked_up(rows, refusal(401, "No."))
    with pytest.raises(NetworkError):
        await looked_up(rows, Reply(500))


@pytest.mark.parametrize("status", [404, 405, 400])
async def test_a_service_that_lists_no_bases_is_asked_all_the_same(
    rows: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with caplog.at_level(logging.WARNING):
        await looked_up(rows, Reply(status))
    assert f"does not list '{MODEL}'" in caplog.text


async def test_at_openai_itself_an_unknown_model_is_refused(rows: Path) -> None:
    with scripted({}) as server:
        settings = checked({"base_url": server.url, "preset": "openai"})
        trainer = OpenAITrainer(settings)
        await trainer.check(rows, JobSpec(MODEL))  # a gateway may not list it
        await trainer.aclose()
        trainer = OpenAITrainer(replace(settings, own=True))
        with pytest.raises(InputError, match="knows no model"):
            await trainer.check(rows, JobSpec(MODEL))
        await trainer.aclose()
