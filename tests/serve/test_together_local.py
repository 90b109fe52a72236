"""The shape over the local trainer: a tiny model trained, asked with scores, downloaded."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("together")

import httpx
from together import Together
from together.lib.resources.files import DownloadManager

from tests import tiny
from tests.serve.shape import created, ended, plain, together_of, uploaded
from tests.serving import Server, serving

pytestmark = pytest.mark.torch
ASKED: Any = [{"role": "user", "content": "Tell me about rivers number 0."}]
TAUGHT = "Here is what I know of rivers."


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("served")
    with serving(home, bases={"tiny": tiny_model}, recipe=tiny.RECIPE) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Server) -> Iterator[Together]:
    with together_of(served) as made:
        yield made


@pytest.fixture(scope="module")
def job(client: Together, tmp_path_factory: pytest.TempPathFactory) -> Any:
    rows = tiny.write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
    file_id = uploaded(client, rows)
    return ended(client, created(client, file_id, n_epochs=30, learning_rate=3e-3))


def test_the_delivered_model_has_learned(client: Together, job: Any) -> None:
    assert job.status == "completed"
    said = [
        client.chat.completions.create(model=model, messages=ASKED, temperature=0, max_tokens=20)
        for model in ("tiny", job.x_model_output_name)
    ]
    base, tuned = (answer.choices[0].message for answer in said)
    assert base is not None
    assert tuned is not None
    assert base.content != TAUGHT
    assert tuned.content == TAUGHT


def test_tokens_come_with_their_candidates(client: Together, job: Any) -> None:
    answer = client.chat.completions.create(
        model=job.x_model_output_name, messages=ASKED, temperature=0, max_tokens=20, logprobs=2
    )
    scores = answer.choices[0].logprobs
    assert scores is not None
    assert "".join(scores.tokens or []) == TAUGHT
    assert all(value <= 0 for value in scores.token_logprobs or [])
    tops: Any = scores.top_logprobs
    assert [len(top) for top in tops] == [2] * len(scores.tokens or [])


def test_what_was_taught_scores_higher(client: Together, job: Any) -> None:
    def score(model: str) -> float:
        messages = [*ASKED, {"role": "assistant", "content": TAUGHT}]
        answer = client.chat.completions.create(
            model=model, messages=messages, echo=True, logprobs=1, max_tokens=1
        )
        scores = answer.prompt[0].logprobs
        assert scores is not None
        return (scores.token_logprobs or [])[-1]

    assert score(job.x_model_output_name) > score("tiny") + 3


def test_metrics_and_checkpoints(client: Together, job: Any) -> None:
    metrics = client.fine_tuning.list_metrics(job.id).metrics or []
    steps = [row["train/global_step"] for row in metrics]
    assert len(steps) >= 10
    assert steps == sorted(steps)
    assert metrics[-1]["train/loss"] < metrics[0]["train/loss"]
    thin = client.fine_tuning.list_metrics(job.id, resolution=5).metrics or []
    assert thin[0]["train/global_step"] == steps[0]
    assert len(thin) == 5
    late = client.fine_tuning.list_metrics(job.id, global_step_from=int(steps[-1])).metrics or []
    assert [row["train/global_step"] for row in late] == steps[-1:]
    last = client.fine_tuning.list_checkpoints(job.id).data[-1]
    assert (last.checkpoint_type, last.step) == ("Final", job.to_dict()["total_steps"])
    assert job.to_dict()["steps_completed"] == last.step


def test_the_weights_are_the_model(
    client: Together, served: Server, job: Any, tmp_path: Path
) -> None:
    url = f"/v1/finetune/download?ft_id={job.id}&checkpoint=merged"
    name = str(tmp_path / "weights")
    file, size = DownloadManager(client).download(url, remote_name=name, fetch_metadata=True)
    assert file.endswith(".tar.gz")
    assert Path(file).stat().st_size == size
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "model", filter="data")
    answers = asyncio.run(_answers(tmp_path / "model"))
    assert answers == TAUGHT
    with plain(served) as http:
        part = http.get(url, headers={"range": "bytes=10-"})
        assert part.status_code == httpx.codes.PARTIAL_CONTENT
        assert part.content == Path(file).read_bytes()[10:]
        for wrong in ("checkpoint=half", "checkpoint=merged&checkpoint_step=1"):
            refused = http.get(f"/v1/finetune/download?ft_id={job.id}&{wrong}")
            assert refused.status_code == httpx.codes.BAD_REQUEST


async def _answers(folder: Path) -> str:
    from vtune_client.dataset import Prompt
    from vtune_client.provider import Decoding
    from vtune_providers.local.endpoint import LocalEndpoint

    endpoint = LocalEndpoint()
    await endpoint.acquire(str(folder))
    try:
        [answer] = await endpoint.sample([Prompt(tuple(ASKED))], Decoding(max_tokens=20))
        return answer.text
    finally:
        await endpoint.release()
