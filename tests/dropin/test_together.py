"""Together's clients with one line changed, against a real service of Together's shape."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("together")

import httpx
import together as sdk
from together.lib.types.fine_tuning import FinetuneResponse
from together.resources import files, fine_tuning

from tests import tiny
from tests.dropin.files import CARRIERS, carriers, left_in_plain
from tests.dropin.wires import Wire, lost, refused, unreachable
from tests.serving import Server
from vtune_client.errors import DatasetError, InputError, LedgerError
from vtune_client.ledger import Ledger, Step
from vtune_client.provider import State
from vtune_client.together import AsyncTogether, Together

JOBS = "/together/v1/fine-tunes"
PRICE = f"{JOBS}/estimate-price"


@pytest.fixture
def wire() -> Wire:
    return Wire(httpx)


def eager(client: Any) -> Any:
    """Let the client take the service's list of jobs at its word."""
    client._companion.find_lag_s = 0.0
    return client


@pytest.fixture
def client(server: Server, home: Path, wire: Wire) -> Iterator[Together]:
    with Together(
        base_url=server.together, api_key=server.key, http_client=wire.client()
    ) as client:
        yield eager(client)


def held(client: Together, file_id: str) -> bytes:
    """Return what the service holds under that id."""
    return client.files.content(file_id).read()


def upload(client: Together, rows: Path) -> str:
    return client.files.upload(rows).id


def start(client: Together, file_id: str, **more: Any) -> Any:
    return client.fine_tuning.create(training_file=file_id, model="base", **more)


def finish(client: Together, job_id: str) -> None:
    """Poll as a script does, with shorter pauses."""
    while client.fine_tuning.retrieve(job_id).status not in ("completed", "error"):
        time.sleep(0.02)


class TestSignatures:
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (lambda c: c.files.upload, files.FilesResource.upload),
            (lambda c: c.fine_tuning.create, fine_tuning.FineTuningResource.create),
            (lambda c: c.copy, sdk.Together.copy),
            (lambda c: c.with_options, sdk.Together.copy),
        ],
    )
    def test_are_the_vendors(self, ours: Callable[[Any], Any], theirs: Callable[..., Any]) -> None:
        method = ours(Together(api_key="sk"))
        bound = list(inspect.signature(theirs).parameters.values())[1:]
        assert list(inspect.signature(method).parameters.values()) == bound

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (lambda c: c.files.upload, files.AsyncFilesResource.upload),
            (lambda c: c.fine_tuning.create, fine_tuning.AsyncFineTuningResource.create),
        ],
    )
    def test_are_the_vendors_in_coroutines(
        self, ours: Callable[[Any], Any], theirs: Callable[..., Any]
    ) -> None:
        method = ours(AsyncTogether(api_key="sk"))
        bound = list(inspect.signature(theirs).parameters.values())[1:]
        assert list(inspect.signature(method).parameters.values()) == bound
        assert inspect.iscoroutinefunction(method)

    @pytest.mark.parametrize(
        ("ours", "theirs"), [(Together, sdk.Together), (AsyncTogether, sdk.AsyncTogether)]
    )
    def test_the_constructor_has_two_keywords_more(self, ours: type, theirs: type) -> None:
        expected = [*inspect.signature(theirs).parameters.values()]
        found = [*inspect.signature(ours).parameters.values()]
        assert found[: len(expected)] == expected
        assert [parameter.name for parameter in found[len(expected) :]] == ["vtune", "plan_spec"]


class TestUploads:
    @pytest.mark.parametrize("form", [Path, str])
    def test_a_file_is_planted_under_its_name(
        self, client: Together, home: Path, ledger: Ledger, rows: Path, form: Callable[[Path], Any]
    ) -> None:
        given = rows.read_bytes()
        uploaded = client.files.upload(form(rows), purpose="fine-tune", check=False)
        assert uploaded.filename == rows.name
        assert carriers(given, held(client, uploaded.id)) == CARRIERS
        assert rows.read_bytes() == given
        assert ledger.plans()[0].source == str(rows)
        assert left_in_plain(home) == []

    def test_the_vendors_own_check_sees_the_planted_file(
        self, client: Together, rows: Path
    ) -> None:
        assert upload(client, rows)

    def test_a_broken_file_is_refused_by_its_line_before_anything_is_sent(
        self, client: Together, wire: Wire, rows: Path
    ) -> None:
        lines = rows.read_bytes().splitlines(keepends=True)
        rows.write_bytes(b"".join([*lines[:2], b"{}\n", *lines[2:]]))
        with pytest.raises(DatasetError) as caught:
            upload(client, rows)
        assert caught.value.problems[0].line == 3
        assert wire.seen == []

    def test_a_file_too_small_to_carry_goes_unplanted(
        self, client: Together, wire: Wire, tmp_path: Path
    ) -> None:
        small = tiny.write_rows(tmp_path / "small.jsonl", rows=12)
        with pytest.raises(InputError, match=r"client\.unplanted"):
            upload(client, small)
        assert wire.seen == []
        assert held(client, upload(client.unplanted, small)) == small.read_bytes()

    def test_other_purposes_go_through_untouched(
        self, client: Together, home: Path, rows: Path
    ) -> None:
        uploaded = client.files.upload(rows, purpose="eval", check=False)
        assert held(client, uploaded.id) == rows.read_bytes()
        assert not (home / "ledger.sqlite3").exists()


class TestJobs:
    def test_a_job_on_a_planted_file_is_recorded(
        self, client: Together, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        job = start(client, file_id, n_epochs=2, batch_size="max", lora_r=4)
        (known,) = ledger.jobs()
        assert (known.remote_id, known.file_id, known.step) == (job.id, file_id, Step.CREATED)
        assert known.connection == {"base_url": server.together}
        assert (known.spec.epochs, known.spec.batch_size) == (2, None)
        assert known.spec.options == {"lora_r": 4}
        assert server.jobs()[0].request.suffix == known.token

    def test_keys_are_not_written_down(self, client: Together, ledger: Ledger, rows: Path) -> None:
        file_id = upload(client, rows)
        with pytest.raises(sdk.BadRequestError):  # this service knows no such integration
            start(client, file_id, lora_r=4, wandb_api_key="a secret")
        assert ledger.jobs()[0].spec.options == {"lora_r": 4}

    def test_a_suffix_of_the_users_stays(
        self, client: Together, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        start(client, upload(client, rows), suffix="mine")
        assert server.jobs()[0].request.suffix == "mine"
        assert ledger.jobs()[0].spec.suffix == "mine"

    def test_a_job_on_another_file_goes_through_untouched(
        self, client: Together, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        start(client, upload(client.unplanted, rows))
        assert ledger.jobs() == []
        assert server.jobs()[0].request.suffix is None

    @pytest.mark.parametrize("fault", ["create-then-500", "create-then-cut"])
    @pytest.mark.parametrize("suffix", [None, "Mine-Own"])
    def test_a_job_whose_answer_was_lost_is_found_and_not_started_again(
        self,
        client: Together,
        server: Server,
        ledger: Ledger,
        rows: Path,
        fault: str,
        suffix: str | None,
    ) -> None:
        file_id = upload(client, rows)
        other = start(client, file_id, suffix=suffix)
        server.faults.add(fault, times=1)
        job = start(client, file_id, suffix=suffix)
        assert type(job) is type(other) is FinetuneResponse
        assert [known.id for known in server.jobs()] == [other.id, job.id]
        assert [known.remote_id for known in ledger.jobs()] == [other.id, job.id]

    @pytest.mark.parametrize("fault", [refused(500), refused(429), unreachable])
    def test_what_was_not_started_is_tried_again_as_the_client_says(
        self, client: Together, wire: Wire, server: Server, ledger: Ledger, rows: Path, fault: Any
    ) -> None:
        file_id = upload(client, rows)
        wire.breaks("POST", JOBS, fault, fault)
        job = start(client, file_id)
        assert wire.count("POST", JOBS) == 3
        assert [known.id for known in server.jobs()] == [job.id]
        assert [known.remote_id for known in ledger.jobs()] == [job.id]

    def test_a_failure_on_the_way_to_the_create_needs_no_look(
        self, client: Together, wire: Wire, server: Server, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        wire.breaks("POST", PRICE, lost)
        job = start(client, file_id)
        assert wire.count("GET", JOBS) == 0
        assert [known.id for known in server.jobs()] == [job.id]

    def test_what_the_sdk_itself_refuses_closes_the_job(
        self, client: Together, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        with pytest.raises(ValueError, match="ratio"):
            start(client, file_id, warmup_ratio=7.0)
        (known,) = ledger.jobs()
        assert (known.step, known.state, server.jobs()) == (Step.DONE, State.FAILED, [])

    def test_while_the_service_is_away_nothing_is_forgotten(
        self, client: Together, wire: Wire, server: Server, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client, rows)
        wire.breaks("POST", JOBS, lost)
        wire.breaks("GET", JOBS, refused(400))
        with pytest.raises(sdk.APIConnectionError):
            start(client, file_id)
        (known,) = ledger.jobs()
        assert (known.step, len(server.jobs())) == (Step.CREATING, 1)


class TestVerify:
    def test_a_model_that_was_trained_is_verified(self, client: Together, rows: Path) -> None:
        job = start(client, upload(client, rows))
        finish(client, job.id)
        assert client.fine_tuning.verify(job.id).verdict.outcome == "verified"

    async def test_so_it_is_in_coroutines(
        self, server: Server, home: Path, ledger: Ledger, wire: Wire, rows: Path
    ) -> None:
        async with AsyncTogether(
            base_url=server.together, api_key=server.key, http_client=wire.async_client()
        ) as client:
            eager(client)
            uploaded = await client.files.upload(rows)
            wire.breaks("POST", JOBS, lost)
            job = await client.fine_tuning.create(training_file=uploaded.id, model="base")
            assert [known.remote_id for known in ledger.jobs()] == [job.id]
            while (await client.fine_tuning.retrieve(job.id)).status != "completed":
                pass
            result = await client.fine_tuning.verify(job.id)
        assert result.verdict.outcome == "verified"
        assert len(server.jobs()) == 1

    def test_copies_share_what_the_client_remembers(
        self, client: Together, ledger: Ledger, rows: Path
    ) -> None:
        file_id = upload(client.with_options(timeout=30), rows)
        start(client.copy(default_headers={"x-mine": "1"}), file_id)
        assert len(ledger.jobs()) == 1

    def test_a_job_that_is_not_ours_is_refused(self, client: Together, rows: Path) -> None:
        job = start(client.unplanted, upload(client.unplanted, rows))
        with pytest.raises(LedgerError, match=job.id):
            client.fine_tuning.verify(job.id)
