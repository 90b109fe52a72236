"""Uploads that break, and files that the service is slow to judge or does not like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import memory as memory_service
from tests.faults.bench import BASES, GOES_ON, STARTS_ANEW, Bench, Said, Vendor, said
from tests.memory import MemoryTrainer
from tests.serving import serving
from tests.simulator import Hurried
from vtune_client import AsyncVTune
from vtune_client.errors import JobFailed, NetworkError, NotYet, ProviderError
from vtune_client.ledger import Step
from vtune_client.provider import State, TrainerCapabilities

SHORT_S = 0.1  # shorter than the first pause of either adapter
CUT: Said = {
    "openai": (
        "No answer came from the service (BROKEN) when asked to take the file.",
        f"Check the address and the network, then go on. {GOES_ON}",
    ),
    "together": (
        "The service's storage does not answer (BROKEN).",
        f"Try again later. {GOES_ON}",
    ),
}
SLOW: Said = {
    "openai": (
        "After 0.1 s the service has not said that the file FILE may be used; its status is "
        "'uploaded'.",
        f"Try again later, or give more time with file_timeout_s. {GOES_ON}",
    ),
    "together": (
        "The service has not looked through the file in 0.1 s.",
        f"Try again later, or ask the service. {GOES_ON}",
    ),
}
REFUSED: Said = {
    "openai": (
        "The service refuses the file FILE (error): too few rows: 40; at least 50 are needed.",
        "Mend the file and start again.",
    ),
    "together": (
        "The service refuses the file (INVALID_FORMAT).",
        "Mend the file and start again.",
    ),
}
DISLIKED: Said = {
    "openai": (
        "Job JOB ended as failed: The service cannot train on the file (invalid_training_file): "
        "line 2: not to our taste.",
        STARTS_ANEW,
    ),
    "together": (
        "Job JOB ended as failed: The job failed: line 2: not to our taste.",
        STARTS_ANEW,
    ),
}


async def test_an_upload_that_is_cut_is_sent_again(bench: Bench) -> None:
    bench.server.faults.add("cut-upload", times=2)
    job = await bench.start()
    await bench.delivers(job)
    assert len(bench.server.service.files.list("fine-tune")) == 1


async def test_a_line_that_is_cut_every_time_is_given_up_on_and_the_job_kept(bench: Bench) -> None:
    bench.server.faults.add("cut-upload")
    with pytest.raises(NetworkError) as caught:
        await bench.start()
    job = bench.only_job()
    assert type(caught.value) is NetworkError
    assert said(caught.value) == CUT[bench.vendor.name]
    assert (job.step, bench.server.jobs()) == (Step.UPLOADING, [])

    bench.server.faults.clear()
    assert (await bench.delivers(job)).state is State.SUCCEEDED


async def test_a_slow_validation_is_waited_for(bench: Bench) -> None:
    bench.server.faults.add("slow-validation", 0.3, times=1)
    await bench.delivers(await bench.start())
    assert len(bench.server.service.files.list("fine-tune")) == 1


async def test_a_validation_beyond_the_bound_ends_the_wait_and_keeps_the_file(
    vendor: Vendor,
    vtune: AsyncVTune,
    patience: Hurried,
    rows: Path,
    memory: memory_service.Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound: dict[str, Any] = {"file_timeout_s": SHORT_S} if vendor.name == "openai" else {}
    with (
        serving(tmp_path, bases=BASES, provider="memory") as server,
        monkeypatch.context() as patch,
    ):
        patch.setattr("vtune_providers.together.trainer.FILE_WAIT_S", SHORT_S)
        bench = Bench(vendor, server, vtune, patience, rows)
        server.faults.add("slow-validation", 3600)
        with pytest.raises(NotYet) as caught:
            await bench.start(**bound)
        job = bench.only_job()
        [file] = server.service.files.list("fine-tune")
        assert said(caught.value) == SLOW[vendor.name]
        assert (job.step, job.file_id, server.jobs()) == (Step.UPLOADING, file.id, [])
    with serving(tmp_path, bases=BASES, provider="memory") as server:  # it looks at all it has left
        done = await Bench(vendor, server, vtune, patience, rows).delivers(job)
        assert done.file_id == file.id
        assert len(server.service.files.list("fine-tune")) == 1


async def test_a_file_that_is_refused_is_forgotten_and_not_trained_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _takes_rows_from(50, bench, monkeypatch)
    with pytest.raises(ProviderError) as caught:
        await bench.start()
    job = bench.only_job()
    assert type(caught.value) is ProviderError
    assert said(caught.value) == REFUSED[bench.vendor.name]
    assert (job.step, job.file_id, bench.server.jobs()) == (Step.UPLOADING, None, [])
    assert bench.server.service.files.list() == []

    _takes_rows_from(10, bench, monkeypatch)
    assert (await bench.delivers(job)).state is State.SUCCEEDED


async def test_a_file_that_is_refused_late_fails_the_job(bench: Bench) -> None:
    job = await bench.start("picky")
    with pytest.raises(JobFailed) as caught:
        await bench.wait(job)
    assert said(caught.value) == DISLIKED[bench.vendor.name]
    assert bench.only_job().state is State.FAILED
    assert len(bench.server.jobs()) == 1
    bench.costs_nothing()


def _takes_rows_from(least: int, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    takes = TrainerCapabilities(
        formats=MemoryTrainer.capabilities.formats, min_rows=least, poll_s=0.0, find_lag_s=0.0
    )
    monkeypatch.setattr(bench.server.service.files, "_capabilities", takes)
