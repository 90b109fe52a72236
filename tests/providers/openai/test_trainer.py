"""The trainer over real HTTP: what it asks, and how it reads the answers."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

pytest.importorskip("openai")

from tests.loopback import Reply, refusal
from tests.providers.openai.made import training
from tests.providers.openai.scripted import Route, Scripted, job, listed, scripted
from vtune_client.errors import NetworkError, ProviderError
from vtune_client.provider import JobSpec, JobStatus, State

JOBS, JOB = "/v1/fine_tuning/jobs", "/v1/fine_tuning/jobs/ftjob-1"
SPEC = JobSpec(model="gpt-4.1-mini-2025-04-14")


async def created(spec: JobSpec, reply: Reply | None = None, **connection: Any) -> Any:
    """Return the body that `create` sends."""
    with scripted({f"POST {JOBS}": reply or Reply(body=job())}) as server:
        async with training(server, **connection) as trainer:
            await trainer.create("file-1", spec, "tok-1", validation_id="file-2")
        (sent,) = server.seen
        return sent.body


async def test_a_plain_job_says_no_more_than_it_must() -> None:
    assert await created(SPEC) == {
        "model": SPEC.model,
        "training_file": "file-1",
        "validation_file": "file-2",
        "metadata": {"vtune": "tok-1"},
        "method": {"type": "supervised"},
    }


async def test_the_recipe_is_put_where_the_api_wants_it() -> None:
    wandb = [{"type": "wandb", "wandb": {"project": "p"}}]
    options = {
        "learning_rate_multiplier": 0.5,
        "metadata": {"team": "blue", "vtune": "forged"},
        "integrations": wandb,
        "trainingType": "globalStandard",
    }
    spec = JobSpec(SPEC.model, epochs=3, batch_size=4, seed=7, suffix="mine", options=options)
    body = await created(spec)
    assert body["method"] == {
        "type": "supervised",
        "supervised": {
            "hyperparameters": {
                "n_epochs": 3,
                "batch_size": 4,
                "learning_rate_multiplier": 0.5,
            }
        },
    }
    assert body["metadata"] == {"team": "blue", "vtune": "tok-1"}
    assert (body["seed"], body["suffix"], body["integrations"]) == (7, "mine", wandb)
    assert body["trainingType"] == "globalStandard"
    assert options["metadata"] == {"team": "blue", "vtune": "forged"}  # left as it was


async def test_dpo_and_its_beta() -> None:
    body = await created(JobSpec(SPEC.model, method="dpo", epochs=2, options={"beta": 0.1}))
    assert body["method"] == {
        "type": "dpo",
        "dpo": {"hyperparameters": {"n_epochs": 2, "beta": 0.1}},
    }


async def test_nebius_takes_hyperparameters_beside_the_method() -> None:
    options = {"hyperparameters": {"lora": True, "lora_r": 16}}
    body = await created(JobSpec("llama", epochs=2, options=options), preset="nebius")
    assert body["hyperparameters"] == {"n_epochs": 2, "lora": True, "lora_r": 16}
    assert "method" not in body


@pytest.mark.parametrize(
    ("reply", "kind", "acted"),
    [
        (Reply(500, {"error": {"message": "Sorry."}}), NetworkError, True),
        (Reply(hang_up=True), NetworkError, True),
        (Reply(body={"status": "queued"}), NetworkError, True),
        (refusal(429, "Rate limit.", headers={"retry-after": "3"}), NetworkError, False),
        (refusal(429, "Pay.", code="insufficient_quota"), ProviderError, None),
        (refusal(400, "Bad.", param="training_file"), ProviderError, None),
        (refusal(403, "Fine-tuning is not available to you."), ProviderError, None),
    ],
)
async def test_create_is_asked_once_and_says_whether_it_may_have_acted(
    reply: Reply, kind: type[Exception], acted: bool | None
) -> None:
    with scripted({f"POST {JOBS}": reply}) as server:
        async with training(server) as trainer:
            with pytest.raises(kind) as raised:
                await trainer.create("file-1", SPEC, "tok-1")
    assert len(server.seen) == 1
    assert getattr(raised.value, "acted", None) is acted


async def status(payload: dict[str, Any], **routes: Any) -> JobStatus:
    with scripted({f"GET {JOB}": Reply(body=payload), **routes}) as server:
        async with training(server) as trainer:
            return await trainer.get("ftjob-1")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("validating_files", State.VALIDATING),
        ("queued", State.QUEUED),
        ("pending", State.QUEUED),
        ("notRunning", State.QUEUED),
        ("created", State.QUEUED),
        ("running", State.RUNNING),
        ("paused", State.PAUSED),
        ("succeeded", State.SUCCEEDED),
        ("cancelled", State.CANCELLED),
        ("canceled", State.CANCELLED),
        ("composing", State.UNKNOWN),
        (None, State.UNKNOWN),
    ],
)
async def test_states(said: str | None, state: State) -> None:
    found = await status(job(status=said, surprise=[1]))
    assert (found.id, found.state, found.error) == ("ftjob-1", state, None)
    assert found.raw["surprise"] == [1]


async def test_a_model_is_named_once_there_is_one() -> None:
    assert (await status(job(status="succeeded"))).model is None
    named = await status(job(status="succeeded", fine_tuned_model="ft:m"))
    assert (named.model, named.progress) == ("ft:m", 1.0)


async def test_nebius_names_the_last_checkpoint() -> None:
    saved = [
        {"id": "ck-2", "step_number": 20, "fine_tuned_model_checkpoint": "m2"},
        {"id": "ck-1", "step_number": 10, "fine_tuned_model_checkpoint": "m1"},
    ]
    routes: dict[str, Route] = {
        f"GET {JOB}": Reply(body=job(status="succeeded")),
        f"GET {JOB}/checkpoints": listed(*saved),
    }
    with scripted(routes) as server:
        async with training(server, preset="nebius") as trainer:
            assert (await trainer.get("ftjob-1")).model == "ftjob-1:ck-2"
            assert [found.step for found in await trainer.checkpoints("ftjob-1")] == [10, 20]


MODERATED = {
    "id": "ev-9",
    "created_at": 9,
    "level": "error",
    "type": "moderation_checks",
    "message": "Moderation checks failed.",
    "data": {
        "blocked": True,
        "results": [
            {"category": "hate", "flagged": True, "enforcement": "block"},
            {"category": "sexual", "flagged": False, "enforcement": "block"},
        ],
    },
}


@pytest.mark.parametrize(
    ("error", "events", "sentence"),
    [
        (
            {
                "code": "invalid_training_file",
                "message": 'Line 3 "Tell me of rivers" is bad.',
                "param": "training_file",
            },
            [],
            "The service cannot train on the file (invalid_training_file, training_file): "
            "Line 3 \u2026 is bad",
        ),
        (
            {"code": "unsafe_file", "message": "The training file was blocked: hate."},
            [],
            "The service's moderation refuses the training file (unsafe_file): "
            "The training file was blocked: hate",
        ),
        (
            {"code": "failed", "message": "The model was not enabled."},
            [MODERATED],
            "Training ended, and the service's safety checks hold the model back for hate "
            "(failed): The model was not enabled",
        ),
        (
            {"code": "unsafe_file", "message": ""},
            [MODERATED],
            "Training ended, and the service's safety checks hold the model back for hate "
            "(unsafe_file)",
        ),
        (
            {"code": None, "message": "Failed our safety evaluations."},
            [],
            "Training ended, and the service's safety checks hold the model back: "
            "Failed our safety evaluations",
        ),
        ({"code": "server_error"}, [], "The service gave up on the job (server_error)"),
        (None, [], "The service gave up on the job"),
        ("Out of memory.", [], "The service gave up on the job: Out of memory"),
    ],
)
async def test_why_it_failed(error: Any, events: list[Any], sentence: str) -> None:
    found = await status(
        job(status="failed", error=error), **{f"GET {JOB}/events": listed(*events)}
    )
    assert (found.state, found.error) == (State.FAILED, sentence)


async def test_a_failed_job_is_told_of_even_without_its_events() -> None:
    found = await status(job(status="failed", error={"code": "x"}))  # the events: 404
    assert found.error == "The service gave up on the job (x)"


async def told(server: Scripted, **connection: Any) -> list[Any]:
    async with training(server, **connection) as trainer:
        return [event async for event in trainer.events("ftjob-1")]


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"ev-{number}", "created_at": number // 2, "message": f"Number {number}.", **more}


async def test_events_come_oldest_first_over_all_pages() -> None:
    newest = listed(event(5), event(4), event(3), more=True)
    routes: dict[str, Route] = {
        f"GET {JOB}": Reply(body=job()),
        f"GET {JOB}/events": [newest, listed(event(2), event(1))],
    }
    with scripted(routes) as server:
        events = await told(server)
    assert [each.id for each in events] == ["ev-1", "ev-2", "ev-3", "ev-4", "ev-5"]
    assert events[0].message == "Number 1."
    assert server.sent(f"GET {JOB}/events")[1].query["after"] == "ev-3"


async def test_metrics_and_moderation_keep_their_data_and_tell_the_progress() -> None:
    step = event(2, type="metrics", data={"step": 30, "total_steps": 120, "train_loss": 0.5})
    routes: dict[str, Route] = {
        f"GET {JOB}": Reply(body=job()),
        f"GET {JOB}/events": listed(MODERATED, step, event(1)),
    }
    with scripted(routes) as server:
        async with training(server) as trainer:
            assert (await trainer.get("ftjob-1")).progress is None
            _, metrics, moderation = [event async for event in trainer.events("ftjob-1")]
            assert (await trainer.get("ftjob-1")).progress == 0.25
    assert metrics.data["train_loss"] == 0.5
    assert (moderation.data["kind"], moderation.data["level"]) == ("moderation", "error")


TABLE = b"step,train_loss,valid_loss\r\n1,2.5,\r\n2,1.25,3\r\n"


@pytest.mark.parametrize("content", [TABLE, base64.b64encode(TABLE), b"\xef\xbb\xbf" + TABLE])
async def test_the_result_files_of_a_job_that_succeeded_are_read(content: bytes) -> None:
    done = job(status="succeeded", result_files=["file-r"], finished_at=99)
    routes: dict[str, Route] = {
        f"GET {JOB}": Reply(body=done),
        f"GET {JOB}/events": listed(event(1)),
        "GET /v1/files/file-r/content": Reply(body=content),
    }
    with scripted(routes) as server:
        _, first, second = await told(server)
    assert (first.id, first.at, first.message) == ("file-r:1", 99.0, "metrics")
    assert first.data == {"step": 1, "train_loss": 2.5}
    assert second.data == {"step": 2, "train_loss": 1.25, "valid_loss": 3}


@pytest.mark.parametrize("reply", [Reply(404), Reply(500), Reply(body=b"\x00\xff no table")])
async def test_metrics_that_cannot_be_had_are_left_out(reply: Reply) -> None:
    done = job(status="succeeded", result_files=["file-r", None])
    routes: dict[str, Route] = {
        f"GET {JOB}": Reply(body=done),
        f"GET {JOB}/events": listed(event(1)),
        "GET /v1/files/file-r/content": reply,
    }
    with scripted(routes) as server:
        assert [each.id for each in await told(server)] == ["ev-1"]


async def found(pages: Any, uploaded: Any = 1_000, **more: Any) -> tuple[Any, int]:
    """Return what `find` finds, and how many pages it read."""
    file = Reply(body={"id": "file-1", "created_at": uploaded})
    routes: dict[str, Route] = {f"GET {JOBS}": pages, "GET /v1/files/file-1": file, **more}
    with scripted(routes) as server:
        async with training(server) as trainer:
            status = await trainer.find("tok-1", "file-1")
    return status and status.id, len(server.sent(f"GET {JOBS}"))


def one(number: int, at: int = 10_000, **more: Any) -> dict[str, Any]:
    other = {"training_file": "file-x", "metadata": {"vtune": "tok-x"}}
    return job(**{"id": f"ftjob-{number}", "created_at": at, **other, **more})


async def test_a_job_is_found_by_its_token() -> None:
    mine = one(2, metadata={"vtune": "tok-1"})
    assert await found(listed(one(1), mine, one(3))) == ("ftjob-2", 1)


@pytest.mark.parametrize("metadata", [{}, None, "gone"])
async def test_where_metadata_is_dropped_the_file_tells(metadata: Any) -> None:
    mine = one(2, metadata=metadata, training_file="file-1")
    assert await found(listed(one(1), mine)) == ("ftjob-2", 1)


async def test_the_token_goes_before_the_file() -> None:
    by_file = one(1, training_file="file-1", metadata={"vtune": "tok-x"})
    assert await found(listed(by_file, one(2, metadata={"vtune": "tok-1"}))) == ("ftjob-2", 1)


async def test_later_pages_are_read_as_long_as_they_may_hold_it() -> None:
    mine = one(9, metadata={"vtune": "tok-1"})
    first, second = listed(one(1, 9_000), one(2, 8_000), more=True), listed(mine)
    assert await found([first, second]) == ("ftjob-9", 2)
    old = listed(one(3, 300), one(4, 200), more=True)
    assert await found([first, old, second]) == (None, 2)


async def test_a_list_in_another_order_is_read_to_its_end() -> None:
    mine = one(9, metadata={"vtune": "tok-1"})
    rising = listed(one(1, 100), one(2, 200), more=True)
    assert await found([rising, listed(mine)]) == ("ftjob-9", 2)


@pytest.mark.parametrize("uploaded", [None, "yesterday"])
async def test_without_a_time_of_the_file_every_page_is_read(uploaded: Any) -> None:
    old = listed(one(3, 300), one(4, 200), more=True)
    assert await found([old, listed(one(5, 100))], uploaded) == (None, 2)


async def test_no_list_is_no_answer() -> None:
    with pytest.raises(NetworkError):
        await found(Reply(500))
    with pytest.raises(ProviderError):
        await found(Reply(405))


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
async def test_what_is_done_to_a_job(verb: str) -> None:
    after = {"cancel": "cancelled", "pause": "paused", "resume": "running"}[verb]
    with scripted({f"POST {JOB}/{verb}": Reply(body=job(status=after))}) as server:
        async with training(server) as trainer:
            status = await getattr(trainer, verb)("ftjob-1")
    assert status.state == after


async def test_cancelling_what_has_ended_changes_nothing() -> None:
    routes: dict[str, Route] = {
        f"POST {JOB}/cancel": refusal(400, "Job has already completed."),
        f"GET {JOB}": [Reply(body=job(status="succeeded")), Reply(body=job(status="running"))],
    }
    with scripted(routes) as server:
        async with training(server) as trainer:
            assert (await trainer.cancel("ftjob-1")).state is State.SUCCEEDED
            with pytest.raises(ProviderError, match="already completed"):
                await trainer.cancel("ftjob-1")


async def test_no_checkpoints_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with scripted({}) as server, caplog.at_level(logging.WARNING):
        async with training(server) as trainer:
            assert list(await trainer.checkpoints("ftjob-1")) == []
    assert "No checkpoints of job ftjob-1" in caplog.text
