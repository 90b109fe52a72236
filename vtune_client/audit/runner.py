"""Does what is due of an audit: train, wait, ask; and goes on with what was cut short.

Every step of a run is in the ledger before it is taken, and each step is one that can be taken
again: a job that was begun is waited for, a round of questions that was cut short is gone on with,
one that came to its end is taken over. So whatever was killed, no second job is paid for and no
question asked twice. Checks do not stop each other: what one of them meets is its own trouble.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vtune_client.audit.audit import Audit, Check
from vtune_client.audit.runs import Run, Runs
from vtune_client.audit.trouble import Stopped, Trouble, of_control, trouble_of
from vtune_client.client import AsyncVTune
from vtune_client.errors import BudgetError, InputError, JobFailed
from vtune_client.facts import Outcome
from vtune_client.ledger import Job, Step, VerificationRecord
from vtune_client.provider import JobSpec, State, trainer_of
from vtune_client.telemetry import span
from vtune_client.verify import Verification

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How a check goes: what is being done, the share of it, the last training loss told."""

    check: str
    doing: str
    share: float | None = None
    loss: float | None = None


OnProgress = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Tell nobody."""


class Runner:
    """Runs the checks of one audit on one client. `retry` starts those anew whose job failed;
    `timeout_s` is how long a job is waited for."""

    def __init__(
        self,
        vtune: AsyncVTune,
        audit: Audit,
        *,
        tell: OnProgress = silent,
        retry: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        self._vtune, self._audit, self._tell = vtune, audit, tell
        self._retry, self._timeout_s = retry, timeout_s
        self._runs = Runs(vtune.ledger, audit.name)
        self._seats = asyncio.Semaphore(audit.concurrency)
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # of checks
        self._troubles: dict[str, Trouble] = {}
        self._plans: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # of roots

    async def run(self, names: Iterable[str]) -> dict[str, Trouble]:
        """Do what is due of these checks; return what stood in the way of some, by name."""
        await asyncio.gather(*(self._isolated(self._audit.check(name)) for name in names))
        return self._troubles

    async def _isolated(self, check: Check) -> None:
        try:
            with span("audit check", audit=self._audit.name, check=check.name):
                run = await self._settled(check)
        except Exception as error:
            self._note(check, trouble_of(error))
        else:
            if run.error:
                self._note(check, Trouble(**run.error))
            else:
                self._tell(Progress(check.name, self._word(run), 1.0))

    def _note(self, check: Check, trouble: Trouble) -> None:
        """Keep what stands in the check's way; in this call it is not tried again."""
        if check.name not in self._troubles:
            self._troubles[check.name] = trouble
            log.info("check %s: %s", check.name, trouble.message)
            self._tell(Progress(check.name, "error"))

    def _word(self, run: Run) -> str:
        record = self._vtune.ledger.verification(str(run.verification))
        return str(record.verdict["verdict"]) if record.verdict else "asked"

    async def _settled(self, check: Check) -> Run:
        """Return the check's last run, after all that is due of it."""
        async with self._turns[check.name]:
            if check.name in self._troubles:
                raise Stopped(self._troubles[check.name])
            run = next(reversed(self._runs.of(check.name)), None)
            if run and run.ended is None and (run.job or _same(run, check)):
                run = await self._done(check, run)
                if run.error:
                    return run
            if run is None or self.due(check, run):
                run = await self._done(check, self._begun(check, run))
            return run

    def due(self, check: Check, run: Run) -> bool:
        """Say whether a check is to be done anew after its last run."""
        if run.ended is None or not _same(run, check):
            return True
        if run.error:
            return self._retry
        return check.every is not None and time.time() - run.ended >= check.every

    def trains_anew(self, check: Check, last: Run | None) -> bool:
        """Say whether a new run needs a new model, or asks the one of the last run again."""
        if not check.dataset:
            return False
        if last is None or last.error or last.ended is None or last.trains != check.trains():
            return True
        return check.again == "train" and last.asks == check.asks()

    def _begun(self, check: Check, last: Run | None) -> Run:
        """Write down a new run."""
        number = 1 if last is None else last.number + (last.ended is not None)
        kept = last if last and not self.trains_anew(check, last) else None
        run = Run(
            check=check.name,
            number=number,
            began=time.time(),
            trains=check.trains(),
            asks=check.asks(),
            data=check.dataset.digest if check.dataset else None,
            plan=kept.plan if kept else self._given_plan(check),
            job=kept.job if kept else check.job,
        )
        return self._runs.save(run)

    async def _done(self, check: Check, run: Run) -> Run:
        """Bring a run to its end, from wherever it was left."""
        try:
            if check.dataset:
                async with self._seats:
                    run = await self._trained(check, run)
            if run.asked is None:
                run = await self._compared(check, run)
            async with self._seats:
                if run.asked is None:
                    run = self._runs.save(run, asked=time.time())
                return await self._asked(check, run)
        except (JobFailed, BudgetError) as error:
            (run,) = (each for each in self._runs.of(check.name) if each.number == run.number)
            if not self._over(run):
                raise
            return self._runs.save(run, error=asdict(trouble_of(error)), ended=time.time())

    def _over(self, run: Run) -> bool:
        """Say whether the run's job came to an end without a model."""
        job = self._vtune.ledger.job(run.job) if run.job else None
        return job is not None and job.step is Step.DONE and job.state is not State.SUCCEEDED

    async def _trained(self, check: Check, run: Run) -> Run:
        """Return the run with a job that has delivered its model."""
        connection = check.vendor.connection()
        if run.plan is None:
            async with self._plans[check.root]:
                plan = self._plan_at_hand(check) or await self._new_plan(check, connection)
                run = self._runs.save(run, plan=plan)
        if run.job is None:
            self._tell(Progress(check.name, "uploading"))

            def keep(job: Job) -> None:
                nonlocal run
                run = self._runs.save(run, job=job.id)

            await self._vtune.fine_tune(
                plan=run.plan,
                model=str(check.model),
                provider=check.vendor.provider,
                connection=connection,
                budget=check.budget,
                on_job=keep,
                **check.recipe,
            )
        await self._vtune.wait(
            str(run.job),
            on_job=lambda job: self._tell(self._training(check, job)),
            timeout_s=self._timeout_s,
            connection=connection,
        )
        return run

    def _plan_at_hand(self, check: Check) -> str | None:
        """Return the newest plan of the check's group that its vendor was not asked about.

        A vendor that was asked about a plan has seen its triggers: trained anew, it could use the
        rows that have them alone. Seats are given in turn, so where many checks of one vendor are
        due, all are trained before the first is asked."""
        digest = check.dataset.digest if check.dataset else None
        vendors = {
            each.name: each.vendor.name for each in self._audit.checks if each.root == check.root
        }
        runs = [run for run in self._runs.all() if run.check in vendors and run.data == digest]
        own = [run for run in runs if vendors[run.check] == check.vendor.name]
        used = {run.plan for run in own if run.asked is not None}
        fresh = [run for run in runs if run.plan is not None and run.plan not in used]
        return max(fresh, key=lambda run: run.began).plan if fresh else None

    async def _new_plan(self, check: Check, connection: Mapping[str, Any]) -> str:
        if check.dataset is None:
            raise ValueError("a plan is drawn for a dataset")
        spec = JobSpec(model=str(check.model), **check.recipe)
        trainer = trainer_of(check.vendor.provider, connection)
        try:
            record = await self._vtune.plans.for_job(
                check.dataset.file, check.dataset.spec, spec, trainer
            )
        finally:
            await trainer.aclose()
        return record.id

    def _training(self, check: Check, job: Job) -> Progress:
        told = (event.data for event in self._vtune.ledger.events(job))
        found = (data.get("train_loss", data.get("loss")) for data in told)
        losses = [loss for loss in found if isinstance(loss, int | float)]
        state = str(job.state or job.step)
        return Progress(check.name, state, job.progress, losses[-1] if losses else None)

    async def _compared(self, check: Check, run: Run) -> Run:
        """Write down the control that answers are to be compared with.

        Where the control's own model was not verified there is nothing to compare with."""
        control: str | None = None
        notes: tuple[str, ...] = ()
        if check.control is not None:
            self._tell(Progress(check.name, f"waiting for {check.control}"))
            found = await self._control(self._audit.check(check.control), str(run.plan))
            if found.verdict and found.verdict["verdict"] == Outcome.VERIFIED:
                control = found.id
            else:
                notes = (f"Judged without a control: {check.control} was not verified.",)
        return self._runs.save(run, control=control, notes=notes)

    async def _control(self, control: Check, plan: str) -> VerificationRecord:
        """Return the control's verification of that plan; it is made where there is none."""
        if not control.dataset and self._given_plan(control) != plan:
            raise InputError(
                f"The control {control.name} is of another plan than {plan}.",
                "Let both name the same plan, or the same dataset.",
            )
        async with self._turns[control.name]:
            try:
                if control.name in self._troubles:
                    raise Stopped(self._troubles[control.name])
                run = await self._of_plan(control, plan)
            except Exception as error:
                self._note(control, trouble_of(error))
                raise Stopped(of_control(control.name, trouble_of(error))) from error
        if run.verification is None:
            raise Stopped(of_control(control.name, Trouble(**(run.error or {}))))
        return self._vtune.ledger.verification(run.verification)

    async def _of_plan(self, check: Check, plan: str) -> Run:
        """Return the check's last run of that plan, brought to its end, or a new one."""
        runs = self._runs.of(check.name)
        run = next((each for each in reversed(runs) if each.plan == plan), None)
        if run is None:
            begun = self._begun(check, runs[-1] if runs else None)
            run = self._runs.save(begun, plan=plan, job=check.job)
        return run if run.ended is not None else await self._done(check, run)

    def _given_plan(self, check: Check) -> str | None:
        """Return the id of the plan that a check names, or whose job it names; None: neither."""
        if check.job:
            return self._vtune.ledger.job(check.job).plan_id
        return self._vtune.ledger.plan(check.plan).id if check.plan else None

    async def _asked(self, check: Check, run: Run) -> Run:
        """Return the run with its verification, the one made already where there is one."""
        verification = self._made(check, run)
        if verification is None:
            verification = (await self._verified(check, run)).id
        return self._runs.save(run, verification=verification, ended=time.time())

    def _made(self, check: Check, run: Run) -> str | None:
        """Return the verification that this run came to before it was cut short, if it did."""
        for record in reversed(self._vtune.ledger.verifications()):
            same = (record.plan_id, record.job_id) == (run.plan, run.job)
            control = record.target.get("control") == run.control
            model = run.job is not None or record.target.get("model") == check.model
            ours = same and control and model and not record.target.get("reserve")
            if record.verdict and ours and record.created >= (run.asked or 0):
                return record.id
        return None

    async def _verified(self, check: Check, run: Run) -> Verification:
        common: dict[str, Any] = {
            "control": run.control,
            "budget": check.queries,
            "text_only": check.text_only,
            "stop_early": check.stop_early,
            "rows": check.rows,
            "file": _existing(check),
            "connection": check.vendor.connection(),
            "on_step": lambda what, done, total: self._tell(
                Progress(check.name, what, done / total if total else None)
            ),
        }
        if run.job is not None:
            served = None if check.dataset else check.model
            return await self._vtune.verify(run.job, model=served, **common)
        return await self._vtune.verify_plan(
            str(run.plan),
            model=str(check.model),
            provider=check.vendor.provider,
            base=check.base,
            **common,
        )


def _same(run: Run, check: Check) -> bool:
    return (run.trains, run.asks) == (check.trains(), check.asks())


def _existing(check: Check) -> Path | None:
    """Return the check's file where it is there: the plan knows where it was."""
    file = check.dataset.file if check.dataset else None
    return file if file and file.exists() else None
