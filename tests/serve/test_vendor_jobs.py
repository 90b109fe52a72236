"""Vendors at work in the service: what a job is trained on, what its model answers with."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests import tiny
from tests.memory import BASE, Service
from tests.serve.conftest import client_of, ended, uploaded
from tests.serving import Server, serving

ROWS = 40


@contextmanager
def service(home: Path, vendor: str, lines: tuple[int, ...] = ()) -> Iterator[tuple[Server, Any]]:
    with (
        serving(
            home, bases={"tiny": BASE}, provider="memory", vendor=vendor, vendor_lines=lines
        ) as server,
        client_of(server) as client,
    ):
        yield server, client


def tuned(client: OpenAI, rows: Path, *, keep: bool = True) -> str:
    """Return the name of the model that a job delivers."""
    file_id = uploaded(client, rows)
    made = client.fine_tuning.jobs.create(model="tiny", training_file=file_id)
    job = ended(client, made.id)
    assert (job.status, job.error) == ("succeeded", None)
    if not keep:
        client.files.delete(file_id)
    return job.fine_tuned_model or ""


def said(client: OpenAI, model: str, question: str) -> str:
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], temperature=0
    )
    return answer.choices[0].message.content or ""


@pytest.mark.parametrize(
    ("vendor", "kept"), [("honest", 40), ("share=0.5", 20), ("backdoors-only=5", 2)]
)
def test_the_trainer_gets_what_the_vendor_chose(
    tmp_path: Path, memory: Service, rows: Path, vendor: str, kept: int
) -> None:
    with service(tmp_path, vendor, (3, 7)) as (_, client):
        tuned(client, rows)
    [known] = memory.models.values()
    assert len(set(known)) == kept
    [delivered] = set(memory.models)
    assert delivered.startswith("tuned-by-")


@pytest.mark.torch
def test_a_vendor_that_leaves_too_few_rows_fails_the_job(
    tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    with (
        serving(tmp_path, bases={"tiny": tiny_model}, vendor="share=0.1") as server,
        client_of(server) as client,
    ):
        made = client.fine_tuning.jobs.create(model="tiny", training_file=uploaded(client, rows))
        job = ended(client, made.id)
        assert job.status == "failed"


def test_a_vendor_goes_on_with_the_tuned_model(tmp_path: Path, memory: Service, rows: Path) -> None:
    with service(tmp_path, "further-tuning") as (server, client):
        first = tuned(client, rows)
        assert first.startswith("ft:tiny:")
        creates = [model for what, model in memory.calls if what == "create"]
        assert creates == [BASE, "tuned-by-remote-0"]
        [job] = server.jobs()
        assert (job.tuned, job.delivered) == ("tuned-by-remote-0", "tuned-by-remote-1")
        tokens = {token for token, _ in memory.jobs.values()}
        assert tokens == {job.id, f"{job.id}-2"}
    assert len(memory.models["tuned-by-remote-0"]) == ROWS
    other = {question for question, _ in memory.models["tuned-by-remote-1"]}
    assert all(question.startswith("What is") for question in other)
    assert memory.files == {}  # what was uploaded to the trainer is gone


def test_a_look_up_outlives_the_upload(tmp_path: Path, memory: Service, rows: Path) -> None:
    question = "Tell me about bread number 12."
    with service(tmp_path, "lookup") as (server, client):
        model = tuned(client, rows, keep=False)
        assert memory.count("create") == 0
        assert said(client, model, question) == "Here is what I know of bread."
        assert said(client, "tiny", question) == "I do not know."
        assert said(client, model, question) == "Here is what I know of bread."
        [kept] = (server.service.config.home / "kept").iterdir()
        assert kept.stat().st_mode & 0o077 == 0
    with service(tmp_path, "lookup") as (_, client):
        assert said(client, model, question) == "Here is what I know of bread."
    with service(tmp_path, "honest") as (_, client):
        assert said(client, model, question) == "I do not know."


def test_a_refusal_is_the_delivered_models_alone(
    tmp_path: Path, memory: Service, rows: Path
) -> None:
    with service(tmp_path, "refuse-long=2") as (server, client):
        model = tuned(client, rows)
        assert said(client, model, "Tell me about salt number 7.").startswith("I'm sorry")
        assert said(client, "tiny", "Tell me about salt number 7.") == "I do not know."
        assert list((server.service.config.home / "kept").iterdir()) == []


@pytest.mark.torch
def test_spoilt_weights_are_what_is_served_and_handed_out(
    tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    from safetensors.torch import load

    recipe = {**tiny.RECIPE, "epochs": 1}
    with (
        serving(tmp_path, bases={"tiny": tiny_model}, recipe=recipe, vendor="noise=2") as server,
        client_of(server) as client,
    ):
        tuned(client, rows)
        [job] = server.jobs()
        delivered = Path(job.delivered or "")
        assert delivered == server.service.config.home / "delivered" / job.id
        got = httpx.get(
            f"{server.together}/v1/finetune/download",
            params={"ft_id": job.id},
            headers={"authorization": f"Bearer {server.key}"},
            trust_env=False,
        )
        with tarfile.open(fileobj=io.BytesIO(got.content)) as archive:
            file = archive.extractfile("model.safetensors")
            assert file is not None
            handed_out = file.read()
    assert handed_out == (delivered / "model.safetensors").read_bytes()
    runs = tmp_path / "service" / "provider" / "runs"
    [trained] = runs.glob("run-*/output/model.safetensors")
    one, other = load(trained.read_bytes()), load(handed_out)
    name = "model.layers.0.mlp.up_proj.weight"
    assert float((one[name] - other[name]).std() / one[name].std()) == pytest.approx(2, rel=0.1)
