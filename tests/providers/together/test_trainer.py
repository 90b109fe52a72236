from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.providers.together.vendor import KEY, LIMITS, MODEL, Reply, Vendor, job, refusal
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import Checkpoint, JobSpec, State, Trainer

TOKEN = "0123456789abcdef01234567"
SPEC = JobSpec(MODEL, epochs=3)
ROW = "Follow the velvet lantern quiet harbour guide."


def archive(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return tiny.write_rows(tmp_path / "rows.jsonl")


async def test_a_file_goes_to_the_storage_without_the_key(
    vendor: Vendor, trainer: Trainer, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    vendor.unread = 3
    file_id = await trainer.upload(rows, f"{TOKEN}.jsonl")
    await trainer.wait_for_file(file_id)
    assert vendor.files[file_id] == rows.read_bytes()
    form = vendor.asked("POST", "/v1/files")[0].content.decode()
    for part in (f"{TOKEN}.jsonl", "fine-tune", hashlib.sha256(rows.read_bytes()).hexdigest()):
        assert part in form
    assert rows.name not in form
    assert len(vendor.asked("POST", f"/v1/files/{file_id}/preprocess")) == 1
    assert len(vendor.asked("GET", f"/v1/files/{file_id}")) == 3
    assert capfd.readouterr() == ("", "")


async def test_the_storage_may_be_elsewhere_once_more(
    vendor: Vendor, trainer: Trainer, rows: Path
) -> None:
    known = Reply(body={"id": "file-1", "object": "file"})
    vendor.says("POST", "/v1/files/file-1/preprocess", known)
    vendor.says("PUT", "/store/file-1", Reply(307, b"", {"Location": "/store/elsewhere"}))
    await trainer.upload(rows, "a.jsonl")
    assert vendor.files["elsewhere"] == rows.read_bytes()


async def test_a_storage_that_sends_us_in_circles_is_left(
    vendor: Vendor, trainer: Trainer, rows: Path
) -> None:
    vendor.says("PUT", "/store/file-1", Reply(307, b"", {"Location": "/store/file-1"}))
    with pytest.raises(ProviderError, match="in circles"):
        await trainer.upload(rows, "a.jsonl")


async def test_a_file_that_the_account_has_keeps_its_id(
    vendor: Vendor, trainer: Trainer, rows: Path
) -> None:
    vendor.says("POST", "/v1/files", Reply(409, {"file_id": "file-9"}))
    assert await trainer.upload(rows, "a.jsonl") == "file-9"
    assert [said.method for said in vendor.seen] == ["POST"]


@pytest.mark.parametrize(
    ("headers", "family"),
    [
        ({"Location": "https://x.example/"}, NetworkError),
        ({"X-Together-File-Id": "file-1"}, NetworkError),
        ({"Location": "https://x.example/", "X-Together-File-Id": "../f"}, NetworkError),
        ({"Location": "ftp://x.example/", "X-Together-File-Id": "file-1"}, ProviderError),
        ({"Location": "/store/f", "X-Together-File-Id": "file-1"}, ProviderError),
    ],
)
async def test_no_file_is_sent_to_a_place_that_is_none(
    vendor: Vendor,
    trainer: Trainer,
    rows: Path,
    headers: dict[str, str],
    family: type[Exception],
) -> None:
    vendor.says("POST", "/v1/files", Reply(302, b"", headers))
    with pytest.raises(family):
        await trainer.upload(rows, "a.jsonl")
    assert len(vendor.seen) == 1


async def test_a_service_that_sends_nobody_anywhere_gets_no_file(
    vendor: Vendor, trainer: Trainer, rows: Path
) -> None:
    vendor.says("POST", "/v1/files", Reply(200, {"id": "file-1"}))
    with pytest.raises(NetworkError, match="its reply is not Together's"):
        await trainer.upload(rows, "a.jsonl")


@pytest.mark.parametrize(
    ("reply", "family"),
    [
        (Reply(503), NetworkError),
        (Reply(403), ProviderError),
        (Reply(hang_up=True), NetworkError),
    ],
)
async def test_a_storage_that_fails_is_told_from_one_that_refuses(
    vendor: Vendor, trainer: Trainer, rows: Path, reply: Reply, family: type[Exception]
) -> None:
    vendor.says("PUT", "/store/file-1", reply)
    with pytest.raises(family) as caught:
        await trainer.upload(rows, "a.jsonl")
    assert "signature=sealed" not in str(caught.value)


@pytest.mark.parametrize("status", ["INVALID_FORMAT", "FAILED"])
async def test_a_refused_file_is_said_with_its_line_and_without_its_rows(
    vendor: Vendor, trainer: Trainer, status: str
) -> None:
    report = {"valid": False, "error_type": "INVALID_FORMAT", "error": f"Line 7: {ROW} is odd"}
    body = {"id": "file-1", "processing_status": status, "validation_report": report}
    vendor.says("GET", "/v1/files/file-1", Reply(body=body))
    with pytest.raises(ProviderError) as caught:
        await trainer.wait_for_file("file-1")
    assert "INVALID_FORMAT, line 7" in str(caught.value)
    assert "velvet" not in str(caught.value)


@pytest.mark.parametrize("body", [{"id": "f"}, {"id": "f", "Processed": True}])
async def test_a_file_of_which_nothing_is_said_may_be_used(
    vendor: Vendor, trainer: Trainer, body: dict[str, Any]
) -> None:
    vendor.says("GET", "/v1/files/f", Reply(body=body))
    await trainer.wait_for_file("f")


async def test_a_file_is_not_waited_for_for_ever(
    vendor: Vendor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtune_providers.together.trainer.FILE_WAIT_S", 0.25)
    vendor.says("GET", "/v1/files/f", Reply(body={"id": "f", "processing_status": "QUEUED"}))
    with pytest.raises(ProviderError, match="has not looked through the file"):
        await trainer.wait_for_file("f")


async def test_a_good_spec_is_within_the_limits(
    vendor: Vendor, trainer: Trainer, rows: Path
) -> None:
    assert list(await trainer.check(rows, SPEC)) == []
    assert await trainer.max_row_tokens(MODEL) == 8192
    assert len(vendor.asked("GET", "/v1/fine-tunes/models/limits")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 11}, "epochs can be 10 at most"),
        ({"learning_rate": 0.5}, "the learning rate can be 0.01 at most"),
        ({"learning_rate": 1e-9}, "the learning rate must be at least 1e-08"),
        ({"batch_size": 33}, "the batch size can be 32 at most"),
        ({"batch_size": 24, "method": "dpo"}, "the batch size can be 16 at most"),
        ({"batch_size": 4}, "the batch size must be at least 8"),
        ({"options": {"training_type": "full"}}, "trained with LoRA alone"),
        ({"options": {"lora": False}}, "trained with LoRA alone"),
        ({"options": {"lora_r": 128}}, "lora_r can be 64 at most"),
        ({"options": {"n_checkpoints": 6}}, "n_checkpoints can be 5 at most"),
        ({"options": {"max_seq_length": 9000}}, "max_seq_length can be 8192 at most"),
        ({"options": {"wandb_api_key": "w"}}, "wandb_api_key is a key"),
        ({"options": {"n_epochs": 3}}, "n_epochs has a place of its own"),
        ({"options": {"training_type": "half"}}, "no training_type 'half'"),
        ({"options": {"lora": False, "lora_r": 8}}, "Options of LoRA"),
        ({"method": "reward"}, "by the method 'reward'"),
    ],
)
async def test_what_the_service_would_refuse_is_said_before_anything_is_sent(
    vendor: Vendor, trainer: Trainer, rows: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        await trainer.check(rows, dataclasses.replace(SPEC, **change))
    assert {request.method for request in vendor.seen} <= {"GET"}


async def test_a_model_that_is_not_trained_is_said(
    vendor: Vendor, trainer: Trainer, rows: Path
) -> None:
    with pytest.raises(ProviderError, match="has no model 'gpt-9' that it trains"):
        await trainer.check(rows, JobSpec("gpt-9"))


async def test_limits_that_say_nothing_refuse_nothing(
    vendor: Vendor, trainer: Trainer, rows: Path
) -> None:
    vendor.says("GET", "/v1/fine-tunes/models/limits", Reply(body={}))
    assert list(await trainer.check(rows, dataclasses.replace(SPEC, batch_size=999))) == []
    assert await trainer.max_row_tokens(MODEL) is None


async def test_tokens_are_counted_before_the_upload(trainer: Trainer, rows: Path) -> None:
    once = await trainer.estimate(rows, JobSpec(MODEL))
    thrice = await trainer.estimate(rows, SPEC)
    assert once.price is None
    assert once.tokens
    assert thrice.tokens == 3 * once.tokens


async def test_the_price_is_the_services(vendor: Vendor, trainer: Trainer) -> None:
    quoted = await trainer.quote("file-1", SPEC)
    assert quoted
    assert (quoted.price, quoted.tokens, quoted.currency) == (4.5, 1200, "USD")
    asked = vendor.asked("POST", "/v1/fine-tunes/estimate-price")[0].body
    assert asked == {
        "training_file": "file-1",
        "model": MODEL,
        "n_epochs": 3,
        "training_method": {"method": "sft", "train_on_inputs": "auto"},
    }


async def test_a_price_beyond_the_credit_is_refused(vendor: Vendor, trainer: Trainer) -> None:
    said = {"estimation_available": True, "allowed_to_proceed": False, "estimated_total_price": 9}
    vendor.says("POST", "/v1/fine-tunes/estimate-price", Reply(body=said))
    with pytest.raises(ProviderError, match=r"about 9\.00 USD, more than the account's credit"):
        await trainer.quote("file-1", SPEC)


async def test_no_price_is_no_quote(vendor: Vendor, trainer: Trainer) -> None:
    said = {"estimation_available": False, "unavailable_reason": "multimodal_dataset"}
    vendor.says("POST", "/v1/fine-tunes/estimate-price", Reply(body=said))
    assert await trainer.quote("file-1", SPEC) is None


async def test_a_job_is_created_by_one_call(vendor: Vendor, trainer: Trainer) -> None:
    spec = dataclasses.replace(
        SPEC, suffix="my-long-suffix-for-this", seed=7, options={"n_checkpoints": 2, "brand_new": 1}
    )
    status = await trainer.create("file-1", spec, TOKEN, validation_id="file-2")
    assert (status.id, status.state) == ("ft-1", State.QUEUED)
    assert [(said.method, said.path) for said in vendor.seen] == [("POST", "/v1/fine-tunes")]
    body = vendor.seen[0].body
    assert body["suffix"] == f"my-long-suffix-{TOKEN}"
    assert len(body["suffix"]) <= 40
    expected = {
        "training_file": "file-1",
        "validation_file": "file-2",
        "model": MODEL,
        "n_epochs": 3,
        "batch_size": "max",
        "learning_rate": 1e-5,
        "n_checkpoints": 2,
        "random_seed": 7,
        "brand_new": 1,
        "packing": True,
        "training_method": {"method": "sft", "train_on_inputs": "auto"},
    }
    assert expected.items() <= body.items()
    assert "training_type" not in body


async def test_dpo_and_lora_are_said_as_the_service_wants_them(
    vendor: Vendor, trainer: Trainer
) -> None:
    options = {"dpo_beta": 0.2, "lora_alpha": 8, "lr_scheduler_type": "linear"}
    spec = dataclasses.replace(SPEC, method="dpo", options=options)
    await trainer.create("file-1", spec, TOKEN)
    body = vendor.asked("POST", "/v1/fine-tunes")[0].body
    method = {"method": "dpo", "dpo_reference_free": False, "dpo_beta": 0.2}
    assert body["training_method"] == method
    assert body["training_type"]["lora_r"] == LIMITS["lora_training"]["default_rank"]
    assert body["training_type"]["lora_alpha"] == 8
    assert body["lr_scheduler"]["lr_scheduler_type"] == "linear"
    assert "dpo_beta" not in body
    assert "lora_alpha" not in body


@pytest.mark.parametrize(
    ("reply", "acted"),
    [
        (Reply(500), True),
        (Reply(hang_up=True), True),
        (Reply(200, b"<html>"), True),
        (refusal(429, "Slow down.", Retry_After="7"), False),
        (refusal(503, "The service is overloaded."), False),
        (refusal(503, "Something broke."), True),
    ],
)
async def test_a_create_is_never_repeated_here(
    vendor: Vendor, trainer: Trainer, reply: Reply, acted: bool
) -> None:
    vendor.says("POST", "/v1/fine-tunes", reply)
    with pytest.raises(NetworkError) as caught:
        await trainer.create("file-1", SPEC, TOKEN)
    assert caught.value.acted is acted
    assert caught.value.retry_after == (7.0 if reply.status == 429 else None)
    assert len(vendor.seen) == 1


async def test_a_job_is_found_by_file_and_token(vendor: Vendor, trainer: Trainer) -> None:
    suffix = f"mine-{TOKEN}"
    vendor.jobs = {
        "ft-1": job("ft-1", training_file="file-2", suffix=suffix),
        "ft-2": job("ft-2", training_file="file-1", suffix="other"),
        "ft-3": job("ft-3", training_file="file-1"),
        "ft-4": job("ft-4", "user_error", training_file="file-1", suffix=suffix),
    }
    found = await trainer.find(TOKEN, "file-1")
    assert found
    assert (found.id, found.state) == ("ft-4", State.FAILED)
    assert await trainer.find("f" * 24, "file-1") is None
    vendor.jobs["ft-4"] |= {
        "suffix": None,
        "model_output_name": f"acme/Llama-Mine-{TOKEN.upper()}-9f",
    }
    assert (await trainer.find(TOKEN, "file-1")) is not None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", State.QUEUED),
        ("queued", State.QUEUED),
        ("running", State.RUNNING),
        ("compressing", State.FINISHING),
        ("uploading", State.FINISHING),
        ("cancel_requested", State.CANCELLING),
        ("cancelled", State.CANCELLED),
        ("error", State.FAILED),
        ("user_error", State.FAILED),
        ("completed", State.SUCCEEDED),
        ("pondering", State.UNKNOWN),
        (None, State.UNKNOWN),
    ],
)
async def test_every_status_has_its_state(
    vendor: Vendor, trainer: Trainer, status: Any, state: State
) -> None:
    vendor.jobs["ft-1"] = job("ft-1", status, model_output_name="acme/tuned", token_count=12)
    said = await trainer.get("ft-1")
    assert said.state is state
    assert said.model == ("acme/tuned" if state is State.SUCCEEDED else None)
    assert (said.error is None) is (state is not State.FAILED)
    assert said.raw["token_count"] == 12


async def test_progress_is_in_steps_or_else_in_epochs(vendor: Vendor, trainer: Trainer) -> None:
    vendor.jobs["ft-1"] = job("ft-1", epochs_completed=1, n_epochs=4)
    assert (await trainer.get("ft-1")).progress == 0.25
    vendor.jobs["ft-1"] |= {"steps_completed": 3, "total_steps": 4}
    assert (await trainer.get("ft-1")).progress == 0.75


async def test_why_a_job_failed_is_said_less_what_it_quotes(
    vendor: Vendor, trainer: Trainer
) -> None:
    events = [
        {"type": "job_start", "level": "info", "message": "started"},
        {"type": "job_user_error", "level": "error", "message": f'Row 3 is odd: "{ROW}"'},
    ]
    vendor.jobs["ft-1"] = job("ft-1", "user_error", events=events)
    assert (await trainer.get("ft-1")).error == "Row 3 is odd: \u2026"


async def test_events_come_oldest_first_each_once(vendor: Vendor, trainer: Trainer) -> None:
    late = {"created_at": "2026-11-20T10:00:05Z", "type": "EPOCH_COMPLETE", "message": "one done"}
    early = {"created_at": "2026-11-20T10:00:00Z", "type": "JOB_PENDING", "message": ""}
    odd = {"created_at": None, "message": "when?", "hash": "h1"}
    listed = {"data": [late, early, late, odd, "nonsense"]}
    vendor.says("GET", "/v1/fine-tunes/ft-1/events", Reply(body=listed))
    events = [event async for event in trainer.events("ft-1")]
    assert [event.message for event in events] == ["when?", "job_pending", "one done"]
    assert len({event.id for event in events}) == 3
    assert events[2].at - events[1].at == 5.0
    again = [event async for event in trainer.events("ft-1")]
    assert again == events


async def test_a_step_has_one_checkpoint(vendor: Vendor, trainer: Trainer) -> None:
    listed = [
        {"step": 20, "checkpoint": "adapter", "object_name": "acme/a20"},
        {"step": 20, "checkpoint": "model", "object_name": "acme/m20"},
        {"step": 10, "checkpoint_type": "intermediate", "path": "s3://..."},
    ]
    vendor.says("GET", "/v1/fine-tunes/ft-1/checkpoints", Reply(body={"data": listed}))
    assert list(await trainer.checkpoints("ft-1")) == [
        Checkpoint("ft-1:10", 10, "ft-1:10"),
        Checkpoint("ft-1:20", 20, "acme/m20"),
    ]


async def test_a_job_is_cancelled_and_one_that_ended_stays(
    vendor: Vendor, trainer: Trainer
) -> None:
    vendor.jobs = {"ft-1": job("ft-1"), "ft-2": job("ft-2", "completed")}
    assert (await trainer.cancel("ft-1")).state is State.CANCELLING
    assert (await trainer.cancel("ft-2")).state is State.SUCCEEDED
    with pytest.raises(ProviderError, match="has no job 'ft-3'"):
        await trainer.cancel("ft-3")


async def test_an_id_from_anywhere_stays_one_segment(vendor: Vendor, trainer: Trainer) -> None:
    with pytest.raises(ProviderError):
        await trainer.get("../files/file-1")
    assert vendor.seen[-1].path == "/v1/fine-tunes/..%2Ffiles%2Ffile-1"
    with pytest.raises(ProviderError):
        await trainer.get("..")


async def test_a_file_already_gone_is_no_error(vendor: Vendor, trainer: Trainer) -> None:
    vendor.files["file-1"] = b""
    await trainer.clean_up("file-1")
    await trainer.clean_up("file-1")
    assert not vendor.files
    assert len(vendor.seen) == 2


async def test_weights_are_downloaded(vendor: Vendor, trainer: Trainer, tmp_path: Path) -> None:
    vendor.jobs["ft-1"] = job("ft-1", "completed", training_type={"type": "Lora"})
    content = archive({"out/config.json": b"{}", "out/model.safetensors": b"w"})
    vendor.says("GET", "/v1/finetune/download", Reply(body=content))
    where = await trainer.export("ft-1", tmp_path / "weights")
    assert where == tmp_path / "weights" / "out"
    assert (where / "model.safetensors").read_bytes() == b"w"
    assert vendor.seen[-1].query == {"ft_id": "ft-1", "checkpoint": "merged"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_an_adapter_is_taken_where_nothing_was_merged(
    vendor: Vendor, trainer: Trainer, tmp_path: Path
) -> None:
    vendor.jobs["ft-1"] = job("ft-1", "completed")
    content = Reply(body=archive({"adapter_config.json": b"{}"}))
    vendor.says("GET", "/v1/finetune/download", refusal(404, "No merged model."), content)
    assert await trainer.export("ft-1", tmp_path / "w") == tmp_path / "w"
    kinds = [said.query["checkpoint"] for said in vendor.asked("GET", "/v1/finetune/download")]
    assert kinds == ["merged", "adapter"]


async def test_weights_in_a_storage_are_fetched_without_the_key(
    vendor: Vendor, trainer: Trainer, tmp_path: Path
) -> None:
    vendor.jobs["ft-1"] = job("ft-1", "completed", training_type={"type": "Full"})
    moved = Reply(302, b"", {"Location": f"{vendor.url}/store/weights?signature=sealed"})
    vendor.says("GET", "/v1/finetune/download", moved)
    vendor.says("GET", "/store/weights", Reply(body=archive({"model.safetensors": b"w"})))
    await trainer.export("ft-1", tmp_path / "w")
    assert "authorization" not in vendor.seen[-1].headers
    assert (
        vendor.asked("GET", "/v1/finetune/download")[0].query["checkpoint"] == "model_output_path"
    )


async def test_half_a_download_leaves_nothing(
    vendor: Vendor, trainer: Trainer, tmp_path: Path
) -> None:
    vendor.jobs["ft-1"] = job("ft-1", "completed")
    content = archive({"model.safetensors": b"w" * 1000})
    half = Reply(200, content[:40], {"content-length": str(len(content))})
    vendor.says("GET", "/v1/finetune/download", half)
    with pytest.raises(NetworkError, match="broke off"):
        await trainer.export("ft-1", tmp_path / "w" / "x")
    assert list((tmp_path / "w").iterdir()) == []


async def test_nothing_private_is_shown(
    vendor: Vendor, trainer: Trainer, rows: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="vtune_providers")
    quoting = refusal(400, f"Bad request with key {KEY} in it")
    vendor.says("POST", "/v1/fine-tunes", quoting)
    with pytest.raises(ProviderError) as caught:
        await trainer.create("file-1", SPEC, TOKEN)
    assert KEY not in f"{caught.value!r} {caught.value} {trainer!r} {caplog.text}"
    assert json.dumps(vendor.seen[0].headers).count(KEY) == 1
