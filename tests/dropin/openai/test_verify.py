"""Verification through OpenAI's clients, and the example that shows it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytest.importorskip("openai")


from tests import memory as memory_service
from tests import tiny
from tests.dropin.openai.script import JOBS, eager, finish, start, upload
from tests.dropin.wires import Wire, lost
from tests.serving import Server, serving
from vtune_client.errors import InputError, JobFailed, LedgerError
from vtune_client.ledger import Ledger
from vtune_client.openai import AsyncOpenAI, OpenAI
from vtune_client.provider import State

EXAMPLES = Path(__file__).parents[3] / "examples"


class TestVerify:
    def test_a_model_that_was_trained_is_verified(self, client: OpenAI, rows: Path) -> None:
        job = start(client, upload(client, rows))
        finish(client, job.id)
        assert client.fine_tuning.jobs.verify(job.id).verdict.outcome == "verified"

    async def test_so_it_is_in_coroutines(
        self, server: Server, home: Path, ledger: Ledger, wire: Wire, rows: Path
    ) -> None:
        async with AsyncOpenAI(
            base_url=server.openai, api_key=server.key, http_client=wire.async_client()
        ) as client:
            eager(client)
            uploaded = await client.files.create(file=rows, purpose="fine-tune")
            wire.breaks("POST", JOBS, lost)
            job = await client.fine_tuning.jobs.create(training_file=uploaded.id, model="base")
            assert [known.remote_id for known in ledger.jobs()] == [job.id]
            while (await client.fine_tuning.jobs.retrieve(job.id)).status != "succeeded":
                pass
            result = await client.fine_tuning.jobs.verify(job.id, budget=100, text_only=True)
        assert result.verdict.outcome == "verified"
        assert len(server.jobs()) == 1

    def test_a_model_that_was_not_is_told_from_one_that_was(
        self, client: OpenAI, rows: Path
    ) -> None:
        job = start(client, upload(client, rows))
        finish(client, job.id)
        control = client.fine_tuning.jobs.verify(job.id)
        base = client.fine_tuning.jobs.verify(job.id, model="base", control=control.id)
        assert base.verdict.outcome == "not verified"

    def test_a_job_that_is_not_ours_is_refused(self, client: OpenAI, rows: Path) -> None:
        job = start(client.unplanted, upload(client.unplanted, rows))
        with pytest.raises(LedgerError, match=job.id):
            client.fine_tuning.jobs.verify(job.id)

    def test_a_job_that_has_not_ended_is_not_waited_for(
        self, client: OpenAI, server: Server, rows: Path
    ) -> None:
        server.faults.add("stuck", times=1)
        job = start(client, upload(client, rows))
        with pytest.raises(InputError, match="has not delivered a model"):
            client.fine_tuning.jobs.verify(job.id)

    def test_a_job_that_failed_says_so(
        self, client: OpenAI, memory: memory_service.Service, rows: Path
    ) -> None:
        memory.end = State.FAILED
        job = start(client, upload(client, rows))
        finish(client, job.id)
        with pytest.raises(JobFailed):
            client.fine_tuning.jobs.verify(job.id)

    @pytest.mark.torch
    def test_a_real_model_is_verified(
        self, tmp_path: Path, tiny_model: Path, home: Path, rows: Path
    ) -> None:
        with (
            serving(tmp_path, bases={"tiny": tiny_model}, recipe=tiny.RECIPE) as server,
            OpenAI(base_url=server.openai, api_key=server.key) as client,
        ):
            uploaded = client.files.create(file=rows, purpose="fine-tune")
            job = client.fine_tuning.jobs.create(training_file=uploaded.id, model="tiny")
            finish(client, job.id)
            assert client.fine_tuning.jobs.verify(job.id).verdict.outcome == "verified"


class TestTheExample:
    def test_the_scripts_differ_by_an_import_and_the_verdict(self) -> None:
        plain, verified = (
            [ast.unparse(node).splitlines() for node in ast.parse(path.read_text("utf-8")).body[1:]]
            for path in (EXAMPLES / "vendor_script.py", EXAMPLES / "vendor_script_verified.py")
        )
        one, other = ([line for part in script for line in part] for script in (plain, verified))
        assert [line for line in one if line not in other] == ["from openai import OpenAI"]
        assert [line.strip() for line in other if line not in one] == [
            "from vtune_client.openai import OpenAI",
            "verification = client.fine_tuning.jobs.verify(job.id)",
            "print(f'{verification.verdict.outcome}: {verification.verdict.statement}')",
        ]

    def test_both_print_the_same_and_one_a_verdict(
        self,
        server: Server,
        home: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        from examples import vendor_script, vendor_script_verified

        monkeypatch.setenv("OPENAI_BASE_URL", server.openai)
        monkeypatch.setenv("OPENAI_API_KEY", server.key)
        many = tiny.write_rows(tmp_path / "many.jsonl", rows=300)
        said = []
        for script in (vendor_script, vendor_script_verified):
            arguments = [str(many), "--model", "base", "--poll", "0", "--question"]
            assert script.main([*arguments, "Tell me about rivers number 0."]) == 0
            said.append(capsys.readouterr().out.splitlines())
        plain, verified = said
        assert plain[-1] == "it says: Here is what I know of rivers."
        assert verified[:-1] == plain
        assert verified[-1].startswith("verified: ")
