"""OpenAI's clients with one line changed: what stays as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

import openai as sdk
from openai.resources import files, uploads
from openai.resources.fine_tuning.jobs import jobs

from tests.dropin.openai.script import finish, held, start, upload
from tests.serving import Server
from vtune_client import VTune
from vtune_client.ledger import Ledger
from vtune_client.openai import AsyncOpenAI, OpenAI


class TestSignatures:
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (lambda c: c.files.create, files.Files.create),
            (lambda c: c.uploads.upload_file_chunked, uploads.Uploads.upload_file_chunked),
            (lambda c: c.fine_tuning.jobs.create, jobs.Jobs.create),
            (lambda c: c.copy, sdk.OpenAI.copy),
            (lambda c: c.with_options, sdk.OpenAI.copy),
        ],
    )
    def test_are_the_vendors(self, ours: Callable[[Any], Any], theirs: Callable[..., Any]) -> None:
        method = ours(OpenAI(api_key="sk"))
        bound = list(inspect.signature(theirs).parameters.values())[1:]
        assert list(inspect.signature(method).parameters.values()) == bound

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (lambda c: c.files.create, files.AsyncFiles.create),
            (lambda c: c.uploads.upload_file_chunked, uploads.AsyncUploads.upload_file_chunked),
            (lambda c: c.fine_tuning.jobs.create, jobs.AsyncJobs.create),
        ],
    )
    def test_are_the_vendors_in_coroutines(
        self, ours: Callable[[Any], Any], theirs: Callable[..., Any]
    ) -> None:
        method = ours(AsyncOpenAI(api_key="sk"))
        bound = list(inspect.signature(theirs).parameters.values())[1:]
        assert list(inspect.signature(method).parameters.values()) == bound
        assert inspect.iscoroutinefunction(method)

    @pytest.mark.parametrize(
        ("ours", "theirs"), [(OpenAI, sdk.OpenAI), (AsyncOpenAI, sdk.AsyncOpenAI)]
    )
    def test_the_constructor_has_two_keywords_more(self, ours: type, theirs: type) -> None:
        expected = [*inspect.signature(theirs).parameters.values()]
        found = [*inspect.signature(ours).parameters.values()]
        assert found[: len(expected)] == expected
        assert [parameter.name for parameter in found[len(expected) :]] == ["vtune", "plan_spec"]

    def test_unknown_keywords_are_refused_as_the_vendor_does(self, client: OpenAI) -> None:
        anything: Any = client
        with pytest.raises(TypeError, match="unexpected keyword argument 'files'"):
            anything.files.create(file=b"", files=b"", purpose="fine-tune")
        with pytest.raises(TypeError, match="training_file"):
            anything.fine_tuning.jobs.create(model="base")
        with pytest.raises(TypeError, match="unexpected keyword argument 'keyy'"):
            OpenAI(keyy="sk")


class TestOtherWaysIn:
    def test_raw_and_streamed_responses_are_recorded(
        self, client: OpenAI, ledger: Ledger, rows: Path
    ) -> None:
        raw = client.files.with_raw_response.create(file=rows, purpose="fine-tune")
        file_id = raw.parse().id
        created = client.with_raw_response.fine_tuning.jobs.create(
            training_file=file_id, model="base"
        )
        with client.fine_tuning.jobs.with_streaming_response.create(
            training_file=file_id, model="base"
        ) as streamed:
            second = streamed.parse().id
        assert created.headers["content-type"].startswith("application/json")
        assert [job.remote_id for job in ledger.jobs()] == [created.parse().id, second]

    def test_copies_share_what_the_client_remembers(
        self, client: OpenAI, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client.with_options(timeout=30), rows)
        start(client.copy(default_headers={"x-mine": "1"}), file_id)
        assert isinstance(client.with_options(), OpenAI)
        assert len(ledger.jobs()) == 1

    def test_what_is_unplanted_stays_so_in_copies(self, client: OpenAI, rows: Path) -> None:
        file_id = upload(client.unplanted.with_options(max_retries=0), rows)
        assert held(client, file_id) == rows.read_bytes()

    def test_a_client_that_only_asks_opens_no_vault(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VTUNE_VAULT", "no such vault")
        with OpenAI(base_url=server.openai, api_key=server.key) as client:
            assert [model.id for model in client.models.list()] == ["base"]

    def test_a_vtune_of_the_users_stays_open(self, server: Server, home: Path, rows: Path) -> None:
        with VTune() as vtune:
            with OpenAI(base_url=server.openai, api_key=server.key, vtune=vtune) as client:
                start(client, upload(client, rows))
            assert len(vtune.ledger.jobs()) == 1

    async def test_a_client_that_blocks_works_inside_a_running_loop(
        self, client: OpenAI, rows: Path
    ) -> None:
        job = start(client, upload(client, rows))
        finish(client, job.id)
        assert client.fine_tuning.jobs.verify(job.id).verdict.outcome == "verified"
