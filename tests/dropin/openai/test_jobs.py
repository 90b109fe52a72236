"""Jobs that OpenAI's clients create: each is recorded, none is started twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

import openai as sdk

from tests.dropin.openai.script import JOBS, finish, held, start, supervised, upload
from tests.dropin.wires import Wire, lost, refused, unreachable
from tests.serving import Server
from vtune_client import VTune
from vtune_client.ledger import Ledger, Step
from vtune_client.openai import OpenAI
from vtune_client.provider import State


class TestJobs:
    def test_a_job_on_a_planted_file_is_recorded(
        self, client: OpenAI, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        job = start(client, file_id, seed=0, method=supervised(n_epochs=2, batch_size="auto"))
        (known,) = ledger.jobs()
        assert (known.remote_id, known.file_id, known.step) == (job.id, file_id, Step.CREATED)
        assert known.plan_id == ledger.plans()[0].id
        assert known.planted_sha256 == hashlib.sha256(held(client, file_id)).hexdigest()
        assert known.connection == {"base_url": server.openai}
        assert (known.spec.model, known.spec.epochs, known.spec.seed) == ("base", 2, 0)
        assert known.spec.batch_size is None
        assert server.jobs()[0].metadata == {"vtune": known.token}
        assert job.metadata == {"vtune": known.token}

    def test_it_is_written_down_before_the_vendor_is_asked(
        self, client: OpenAI, wire: Wire, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        steps: list[Step] = []

        def looked_at(http: Any, request: Any, send: Callable[[], Any]) -> Any:
            steps.extend(job.step for job in ledger.jobs())
            return send()

        wire.breaks("POST", JOBS, looked_at)
        start(client, file_id)
        assert steps == [Step.CREATING]

    def test_the_users_metadata_stay(self, client: OpenAI, server: Server, rows: Path) -> None:
        file_id = upload(client, rows)
        start(client, file_id, metadata={"team": "blue"})
        full = {f"key-{number}": "x" for number in range(16)}
        start(client, file_id, metadata=full)
        first, second = server.jobs()
        assert first.metadata.keys() == {"team", "vtune"}
        assert second.metadata == full

    def test_a_job_on_another_file_goes_through_untouched(
        self, client: OpenAI, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client.unplanted, rows)
        start(client, file_id)
        assert ledger.jobs() == []
        assert not server.jobs()[0].metadata

    @pytest.mark.parametrize("fault", ["create-then-500", "create-then-cut"])
    @pytest.mark.parametrize("full", [False, True])
    def test_a_job_whose_answer_was_lost_is_found_and_not_started_again(
        self,
        client: OpenAI,
        server: Server,
        ledger: Ledger,
        rows: Path,
        fault: str,
        full: bool,
    ) -> None:
        file_id = upload(client, rows)
        metadata = {f"key-{number}": "x" for number in range(16 if full else 1)}
        other = start(client, file_id, metadata=metadata)
        server.faults.add(fault, times=1)
        job = start(client, file_id, metadata=metadata)
        assert isinstance(job, sdk.types.fine_tuning.FineTuningJob)
        assert [known.id for known in server.jobs()] == [other.id, job.id]
        assert [known.remote_id for known in ledger.jobs()] == [other.id, job.id]

    def test_it_is_found_in_the_form_that_was_asked_for(
        self, client: OpenAI, server: Server, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        server.faults.add("create-then-500", times=1)
        raw = client.fine_tuning.jobs.with_raw_response.create(training_file=file_id, model="base")
        assert raw.status_code == 200
        assert [raw.parse().id] == [job.id for job in server.jobs()]

    @pytest.mark.parametrize(
        "fault",
        [refused(500), refused(429), refused(409), refused(429, retry_after="0.001"), unreachable],
    )
    def test_what_was_not_started_is_tried_again_as_the_client_says(
        self, client: OpenAI, wire: Wire, server: Server, ledger: Ledger, rows: Path, fault: Any
    ) -> None:
        file_id = upload(client, rows)
        wire.breaks("POST", JOBS, fault, fault)
        job = start(client, file_id)
        assert wire.count("POST", JOBS) == 3
        assert [known.id for known in server.jobs()] == [job.id]
        assert [(known.remote_id, known.step) for known in ledger.jobs()] == [
            (job.id, Step.CREATED)
        ]

    @pytest.mark.parametrize(
        ("fault", "error", "looks"),
        [
            (refused(500), sdk.InternalServerError, 1),
            (refused(429), sdk.RateLimitError, 0),
            (refused(400), sdk.BadRequestError, 0),
            (unreachable, sdk.APIConnectionError, 0),
        ],
    )
    def test_the_vendors_error_comes_out_and_the_job_is_closed(
        self,
        client: OpenAI,
        wire: Wire,
        server: Server,
        ledger: Ledger,
        rows: Path,
        fault: Any,
        error: type[Exception],
        looks: int,
    ) -> None:
        file_id = upload(client, rows)
        wire.breaks("POST", JOBS, fault)
        with pytest.raises(error):
            start(client.with_options(max_retries=0), file_id)
        assert (wire.count("POST", JOBS), wire.count("GET", JOBS)) == (1, looks)
        (known,) = ledger.jobs()
        assert (known.step, known.state, server.jobs()) == (Step.DONE, State.FAILED, [])

    @pytest.mark.parametrize(
        "fault", [refused(400), refused(404), refused(500, x_should_retry="false")]
    )
    def test_a_refusal_is_not_tried_again(
        self, client: OpenAI, wire: Wire, rows: Path, fault: Any
    ) -> None:
        file_id = upload(client, rows)
        wire.breaks("POST", JOBS, fault)
        with pytest.raises(sdk.APIStatusError):
            start(client, file_id)
        assert wire.count("POST", JOBS) == 1

    def test_an_earlier_job_on_the_file_is_not_taken_for_it(
        self, client: OpenAI, wire: Wire, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        full = {f"key-{number}": "x" for number in range(16)}  # leaves no room for a token
        other = start(client, file_id, metadata=full)
        wire.breaks("POST", JOBS, refused(500))
        job = start(client, file_id, metadata=full)
        assert [known.id for known in server.jobs()] == [other.id, job.id]
        assert [known.remote_id for known in ledger.jobs()] == [other.id, job.id]

    def test_while_the_service_is_away_nothing_is_started_twice_and_nothing_forgotten(
        self, client: OpenAI, wire: Wire, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        wire.breaks("POST", JOBS, lost)
        wire.breaks("GET", JOBS, refused(503))
        with pytest.raises(sdk.APIConnectionError):
            start(client.with_options(max_retries=0), file_id)
        (known,) = ledger.jobs()
        (job,) = server.jobs()
        assert known.step is Step.CREATING
        finish(client, job.id)
        with VTune() as vtune:
            done = vtune.wait(known.id, connection={"client": client.unplanted})
        assert (done.remote_id, done.step, len(server.jobs())) == (job.id, Step.DONE, 1)

    def test_a_list_that_lags_is_looked_at_until_it_would_show_the_job(
        self, client: OpenAI, wire: Wire, server: Server, rows: Path
    ) -> None:
        file_id = upload(client, rows)

        def empty(http: Any, request: Any, send: Callable[[], Any]) -> Any:
            return http.Response(200, json={"object": "list", "data": []}, request=request)

        client._companion.find_lag_s = 0.01
        wire.breaks("POST", JOBS, lost)
        wire.breaks("GET", JOBS, empty)
        job = start(client, file_id)
        assert [known.id for known in server.jobs()] == [job.id]

    def test_a_job_started_elsewhere_on_the_file_is_not_taken_for_it(
        self, client: OpenAI, wire: Wire, server: Server, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        other = start(client.unplanted, file_id, metadata={"vtune": "somebody"})
        wire.breaks("POST", JOBS, refused(500))
        job = start(client, file_id)
        assert [known.id for known in server.jobs()] == [other.id, job.id]
