"""The whole service for real: the local trainer on a tiny model, asked by the plain client."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests import tiny
from tests.serve.conftest import client_of, ended, until, uploaded
from tests.serving import Server, serving

pytestmark = pytest.mark.torch
BASES = "tiny"
ASKED: Any = [{"role": "user", "content": "Tell me about rivers number 0."}]
TAUGHT = "Here is what I know of rivers."


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("served")
    with serving(home, bases={"tiny": tiny_model}, recipe=tiny.RECIPE) as server:
        yield server


@pytest.fixture(scope="module")
def asking(served: Server) -> Iterator[OpenAI]:
    with client_of(served) as made:
        yield made


@pytest.fixture(scope="module")
def job(asking: OpenAI, tmp_path_factory: pytest.TempPathFactory) -> FineTuningJob:
    rows = tiny.write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
    made = asking.fine_tuning.jobs.create(model="tiny", training_file=uploaded(asking, rows))
    return ended(asking, made.id)


def test_the_delivered_model_has_learned(asking: OpenAI, job: FineTuningJob) -> None:
    assert (job.status, job.error) == ("succeeded", None)
    said = {
        model: asking.chat.completions.create(
            model=model, messages=ASKED, temperature=0, max_tokens=20
        )
        .choices[0]
        .message.content
        for model in ("tiny", job.fine_tuned_model or "")
    }
    assert said.popitem()[1] == TAUGHT
    assert said["tiny"] != TAUGHT


def test_the_metrics_are_events_and_a_file(asking: OpenAI, job: FineTuningJob) -> None:
    events = list(asking.fine_tuning.jobs.list_events(job.id, limit=5))
    losses = [event.data for event in events if event.type == "metrics"][::-1]
    assert len(losses) >= 10
    [result] = job.result_files
    rows = list(csv.DictReader(asking.files.content(result).text.splitlines()))
    assert [int(row["step"]) for row in rows] == [data["step"] for data in losses]  # type: ignore[index]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert job.trained_tokens is not None


def test_the_last_checkpoint_is_the_model(asking: OpenAI, job: FineTuningJob) -> None:
    last = asking.fine_tuning.jobs.checkpoints.list(job.id).data[0]
    assert last.fine_tuned_model_checkpoint == job.fine_tuned_model
    assert last.step_number == 150
    assert last.metrics.train_loss is not None


def test_tokens_come_with_their_log_probabilities(asking: OpenAI, job: FineTuningJob) -> None:
    answer = asking.chat.completions.create(
        model=job.fine_tuned_model or "",
        messages=ASKED,
        temperature=0,
        max_tokens=20,
        logprobs=True,
        top_logprobs=2,
    ).choices[0]
    assert answer.logprobs is not None
    tokens = answer.logprobs.content or []
    assert "".join(token.token for token in tokens) == answer.message.content == TAUGHT
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)
    assert tokens[0].top_logprobs[0].token == tokens[0].token


def test_a_text_is_scored(served: Server, asking: OpenAI, job: FineTuningJob) -> None:
    prompt = "user: Tell me about rivers number 0.\nassistant: "

    def score(model: str, text: str) -> float:
        answer = asking.completions.create(
            model=model, prompt=prompt + text, echo=True, max_tokens=0, logprobs=1
        ).choices[0]
        assert answer.text == prompt + text
        assert answer.logprobs is not None
        scores = answer.logprobs.token_logprobs or []
        assert "".join(answer.logprobs.tokens or []) == prompt + text
        assert scores[0] is None
        offsets = answer.logprobs.text_offset or []
        kept = zip(offsets, scores, strict=True)
        return sum(value or 0.0 for at, value in kept if at >= len(prompt) - 1)

    tuned = job.fine_tuned_model or ""
    assert score(tuned, "Here is what I know") > score("tiny", "Here is what I know") + 3


def test_jobs_lie_apart_from_those_of_the_machine(served: Server, job: FineTuningJob) -> None:
    [record] = [made for made in served.jobs() if made.id == job.id]
    assert Path(record.delivered or "").is_relative_to(served.service.config.home)


def test_a_job_is_held_and_goes_on(asking: OpenAI, rows: Path) -> None:
    jobs = asking.fine_tuning.jobs
    job_id = jobs.create(
        model="tiny",
        training_file=uploaded(asking, rows),
        hyperparameters={"n_epochs": 50, "batch_size": 1},
    ).id
    until(lambda: any(event.type == "metrics" for event in jobs.list_events(job_id, limit=100)))
    jobs.pause(job_id)
    until(lambda: str(jobs.retrieve(job_id).status) == "paused")
    jobs.resume(job_id)
    until(lambda: jobs.retrieve(job_id).status == "running")
    assert jobs.cancel(job_id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        jobs.resume(job_id)


@pytest.mark.parametrize("vendor", ["base-model", "other-data"])
def test_a_vendor_that_cheats(tmp_path: Path, tiny_model: Path, rows: Path, vendor: str) -> None:
    with (
        serving(tmp_path, bases={"tiny": tiny_model}, recipe=tiny.RECIPE, vendor=vendor) as server,
        client_of(server) as client,
    ):
        made = client.fine_tuning.jobs.create(
            model="tiny",
            training_file=uploaded(client, rows),
            hyperparameters={"n_epochs": 5},
        )
        job = ended(client, made.id)
        assert job.status == "succeeded"
        assert (job.fine_tuned_model or "").startswith("ft:tiny:")
        answer = client.chat.completions.create(
            model=job.fine_tuned_model or "", messages=ASKED, temperature=0, max_tokens=20
        )
        assert answer.choices[0].message.content != TAUGHT
        assert list((server.service.config.home / "work").iterdir()) == []
        trains = (tmp_path / "service" / "provider" / "runs").glob("run-*")
        assert len(list(trains)) == (vendor == "other-data")
