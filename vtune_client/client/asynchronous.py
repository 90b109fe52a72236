"""The Python face in coroutines."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vtune_client.client.asked import Asked
from vtune_client.client.attesting import Attested, Attesting, OnCommitment
from vtune_client.client.plans import Plans
from vtune_client.client.transcript import Exchange, exchanges
from vtune_client.client.verifying import Verifying
from vtune_client.dataset import check
from vtune_client.errors import InputError
from vtune_client.foresight import foresight
from vtune_client.home import home as default_home
from vtune_client.job import JobRunner, OnJob
from vtune_client.ledger import Job, Ledger, PlanRecord, Step
from vtune_client.patience import Patience
from vtune_client.phrases import BuiltinSource, PhraseSource
from vtune_client.plan import Plan, PlanSpec, token_of
from vtune_client.plant import Planted, plant, write_held_out
from vtune_client.provider import (
    JobSpec,
    Trainer,
    bare_address,
    recordable,
    trainer_of,
)
from vtune_client.rounds import Round, part_of
from vtune_client.signing import Signer
from vtune_client.telemetry import span
from vtune_client.vault import Vault, open_vault
from vtune_client.verify import OnStep, Target, Verification, silent


class AsyncVTune:
    """Plant, train, verify. Everything it must remember lies in `home` and in the vault.

    `home` defaults to `VTUNE_HOME`, `vault` to what `VTUNE_VAULT` says (the OS keyring), `phrases`
    to the built-in English source. `passphrase` is asked for when a file vault has to be opened.
    `patience` is how long a service without a usable answer is borne with. `ledger` defaults to the
    one that `VTUNE_LEDGER` names, or else to that of the home; it is closed with the client.
    """

    def __init__(
        self,
        *,
        home: Path | None = None,
        vault: Vault | None = None,
        phrases: PhraseSource | None = None,
        passphrase: Callable[[], str] | None = None,
        patience: Patience | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._home = home or default_home()
        vault = vault or open_vault(self._home, passphrase=passphrase)
        self.ledger = ledger or Ledger(self._home)
        self.plans = Plans(self.ledger, vault, phrases or BuiltinSource())
        self.attesting = Attesting(self.ledger, self.plans)
        self._verifying = Verifying(self.ledger, self.plans)
        self._runner = JobRunner(self.ledger, self._home, self.open_plan, patience)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self.ledger.close()

    async def plan(self, file: str | Path, spec: PlanSpec | None = None) -> PlanRecord:
        """Draw a plan for `file` and keep it: its key in the vault, the rest sealed.

        Raises `DatasetError` for a file that cannot be trained on, `SecretsError` where the vault
        does not take the key; nothing is kept then."""
        record = self.plans.new(check(file), spec or PlanSpec(by_rows=True))
        await self.attesting.commit(record.id)
        return record

    async def plant(self, plan_id: str, out: str | Path) -> Planted:
        """Write the planted file of a plan to `out`, readable by its owner alone, and commit to
        it."""
        record = self.ledger.plan(plan_id)
        with span("plant", plan=record.id):
            planted = plant(Path(record.source), self.open_plan(record.id), Path(out))
        await self.attesting.commit(record.id, planted_sha256=planted.sha256)
        return planted

    async def write_held_out(self, plan_id: str, out: str | Path) -> int:
        """Write the rows that a plan withholds from the upload to `out`; return how many."""
        record = self.ledger.plan(plan_id)
        return write_held_out(Path(record.source), self.open_plan(record.id), Path(out))

    async def fine_tune(
        self,
        /,
        file: str | Path | None = None,
        *,
        model: str,
        provider: str = "local",
        connection: Mapping[str, Any] | None = None,
        plan: PlanSpec | str | None = None,
        budget: float | None = None,
        keep_planted: bool = False,
        on_job: Callable[[Job], None] | None = None,
        on_commitment: OnCommitment | None = None,
        **recipe: Any,
    ) -> Job:
        """Plant `file` (or the file of the plan with the id `plan`), upload it, start the job.

        Returns once the provider's job id is in the ledger. `recipe` takes the fields of `JobSpec`
        (method, epochs, batch_size, learning_rate, seed, suffix, validation_file, options).
        `connection` goes to the provider (base_url, api_key, ...); what is secret in it is not
        kept, so later calls take it anew or from the environment. `budget` is the most that
        training may cost, in the service's currency: `BudgetError` before anything is spent.
        `on_job` is told of the job and `on_commitment` of its commitment before anything is sent.
        Raises as the provider and the witness do; after any error `wait` goes on."""
        spec = JobSpec(model=model, **recipe)
        async with self._trainer(provider, connection or {}) as trainer:
            record = await self.plans.for_job(file, plan, spec, trainer)
            job = self._new_job(
                record,
                provider,
                spec,
                connection=recordable(provider, connection or {}),
                budget=budget,
                keep_planted=keep_planted,
            )
            if on_job:
                on_job(job)
            before = partial(self.attesting.before_upload, tell=on_commitment)
            return await self._runner.submit(job, trainer, before)

    async def wait(
        self,
        job_id: str,
        *,
        on_job: OnJob | None = None,
        timeout_s: float | None = None,
        connection: Mapping[str, Any] | None = None,
    ) -> Job:
        """Follow a job until its model is delivered, from whatever step it was left at.

        Raises `JobFailed` where it failed or was cancelled, `NotYet` where it still runs
        after `timeout_s`; it is left running then."""
        async with self._job(job_id, connection) as (job, trainer):
            job = await self._runner.submit(job, trainer, self.attesting.before_upload)
            return await self._runner.wait(job, trainer, on_job, timeout_s)

    async def status(self, job_id: str, *, connection: Mapping[str, Any] | None = None) -> Job:
        """Ask the provider once and return the job as it stands."""
        async with self._job(job_id, connection) as (job, trainer):
            return await self._runner.refresh(job, trainer)

    async def cancel(self, job_id: str, *, connection: Mapping[str, Any] | None = None) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        async with self._job(job_id, connection) as (job, trainer):
            return await self._runner.cancel(job, trainer)

    async def pause(self, job_id: str, *, connection: Mapping[str, Any] | None = None) -> Job:
        """Stop a job's training for now, where the provider can."""
        async with self._job(job_id, connection) as (job, trainer):
            return await self._runner.pause(job, trainer)

    async def resume(self, job_id: str, *, connection: Mapping[str, Any] | None = None) -> Job:
        """Go on with a paused job."""
        async with self._job(job_id, connection) as (job, trainer):
            return await self._runner.resume(job, trainer)

    async def export(
        self, job_id: str, folder: str | Path, *, connection: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the weights that a job delivered into `folder`, new or empty, all or nothing."""
        async with self._job(job_id, connection) as (job, trainer):
            if job.remote_id is None or job.model is None:
                raise _undelivered(job)
            return await trainer.export(job.remote_id, Path(folder))

    async def verify(
        self,
        job_id: str,
        *,
        model: str | None = None,
        control: str | None = None,
        budget: int | None = None,
        text_only: bool = False,
        stop_early: bool = False,
        rows: bool = True,
        file: str | Path | None = None,
        on_step: OnStep = silent,
        connection: Mapping[str, Any] | None = None,
    ) -> Verification:
        """Ask the model that a job delivered and judge it. `model` asks another in its place.

        `control` is the id of a verified verification of the same plan, the positive control that
        a "not verified" needs; `budget` the most queries to send, every scored text one of them;
        `text_only` asks for no scores; `stop_early` asks for text only until the evidence suffices
        or cannot any more, and takes no control. Where the plan withholds rows and `rows` is not
        switched off, the model is asked about them and about uploaded ones, which takes the user's
        `file`, by default where it was when the plan was drawn. `connection` goes to the provider,
        over what is recorded with the job. Cut short, the same call goes on with the questions that
        are left. Raises as the provider does, and `InputError` where the plan's signatures were
        shown to this service before."""
        job = self.ledger.job(job_id)
        delivered = model or job.model
        if delivered is None:
            raise _undelivered(job)
        how = {**job.connection, **(connection or {})}
        target = Target(job.provider, delivered, job.spec.model, bare_address(how.get("base_url")))
        asked = Asked(job.plan_id, job.id, target, how, control, stop_early, rows, file)
        return await self._verifying.verify(asked, budget, text_only, on_step)

    async def verify_plan(
        self,
        plan_id: str,
        *,
        model: str,
        provider: str = "local",
        base: str | None = None,
        connection: Mapping[str, Any] | None = None,
        control: str | None = None,
        budget: int | None = None,
        text_only: bool = False,
        stop_early: bool = False,
        rows: bool = True,
        file: str | Path | None = None,
        on_step: OnStep = silent,
    ) -> Verification:
        """Ask any served model about a plan; as `verify` otherwise.

        `connection` goes to the endpoint (base_url, api_key); `base` is the untouched base model,
        asked for comparison where there are scores."""
        record = self.ledger.plan(plan_id)
        how = connection or {}
        target = Target(provider, model, base, bare_address(how.get("base_url")))
        asked = Asked(record.id, None, target, how, control, stop_early, rows, file)
        return await self._verifying.verify(asked, budget, text_only, on_step)

    async def reprobe(
        self,
        verification_id: str,
        *,
        model: str | None = None,
        budget: int | None = None,
        text_only: bool = False,
        stop_early: bool = False,
        on_step: OnStep = silent,
        connection: Mapping[str, Any] | None = None,
    ) -> Verification:
        """Ask the reserve of a verification's plan, at the same model or at `model` beside it.

        The reserve was asked nowhere before, so this proves something even where the service was
        shown the other backdoors since. It is a verification of its own, without rows and without a
        control; all else is as in `verify`. Raises `InputError` where the plan has no reserve, or
        one that was shown to this service or opened to anybody."""
        earlier = self.ledger.verification(verification_id)
        job = self.ledger.job(earlier.job_id) if earlier.job_id else None
        asked = Asked.again(earlier, job, model, connection or {}, stop_early=stop_early)
        return await self._verifying.verify(asked, budget, text_only, on_step)

    async def attest(
        self,
        verification_id: str,
        *,
        reveal: bool = False,
        backdoors: Iterable[int] | None = None,
        rows: bool = True,
        root_key: bool = False,
        sigstore: Signer | None = None,
    ) -> Attested:
        """Return the signed statement of a verification and, with `reveal`, what opens it.

        See `Attesting.attest`."""
        with span("attest", verification=verification_id):
            return await self.attesting.attest(
                verification_id,
                reveal=reveal,
                backdoors=backdoors,
                rows=rows,
                root_key=root_key,
                sigstore=sigstore,
            )

    def open_plan(self, plan_id: str) -> Plan:
        """Return a plan, unsealed: handle it as the secret it is."""
        return self.plans.open(plan_id)

    def foresight(self, plan_id: str) -> tuple[str, ...]:
        """Return what a plan's verdict will be able to tell, and what not, in sentences."""
        return foresight(self.open_plan(plan_id))

    def transcript(self, verification_id: str) -> list[Exchange]:
        """Return what was asked and answered, unsealed: handle it as the secret it is."""
        record = self.ledger.verification(verification_id)
        plan = part_of(self.open_plan(record.plan_id), record.target)
        known = Round(self.ledger, record, self.plans.key(plan.id)).known()
        return exchanges(plan, known)

    def _new_job(self, record: PlanRecord, provider: str, spec: JobSpec, **more: Any) -> Job:
        job_id = f"job-{secrets.token_hex(4)}"
        job = Job(
            id=job_id,
            plan_id=record.id,
            created=time.time(),
            provider=provider,
            spec=spec,
            token=token_of(record.id, job_id),
            step=Step.PLANTING,
            **more,
        )
        self.ledger.add_job(job)
        return job

    @asynccontextmanager
    async def _trainer(self, name: str, connection: Mapping[str, Any]) -> AsyncIterator[Trainer]:
        trainer = trainer_of(name, connection)
        try:
            yield trainer
        finally:
            await trainer.aclose()

    @asynccontextmanager
    async def _job(
        self, job_id: str, connection: Mapping[str, Any] | None
    ) -> AsyncIterator[tuple[Job, Trainer]]:
        job = self.ledger.job(job_id)
        how = {**job.connection, **(connection or {})}
        async with self._trainer(job.provider, how) as trainer:
            yield job, trainer


def _undelivered(job: Job) -> InputError:
    return InputError(
        f"Job {job.id} has not delivered a model yet.", f"Run `vtune wait {job.id}` first."
    )
