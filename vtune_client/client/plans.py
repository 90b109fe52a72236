"""Plans as a client keeps them: the key in the vault, the rest sealed in the ledger."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vtune_client.commitment import commit
from vtune_client.dataset import Summary, check, counter_for, method_problems
from vtune_client.errors import DatasetError, InputError, KeyMissing
from vtune_client.held_out import NoRowsLeft, rows_to_ask
from vtune_client.ledger import Ledger, PlanRecord
from vtune_client.phrases import PhraseSource
from vtune_client.plan import Plan, PlanSpec, draw_plan, dump_plan, load_plan
from vtune_client.plant import changed, overlong
from vtune_client.provider import JobSpec, Trainer
from vtune_client.telemetry import span
from vtune_client.vault import RootKey, Vault, new_key_id, open_sealed, seal


@dataclass(frozen=True)
class Plans:
    ledger: Ledger
    vault: Vault
    phrases: PhraseSource

    def new(
        self,
        summary: Summary,
        spec: PlanSpec,
        *,
        max_row_tokens: int | None = None,
        model: str | None = None,
        source: str | None = None,
    ) -> PlanRecord:
        """Draw a plan for the file that `summary` describes and keep it; see `draw_plan`.

        `source` is where the file will be found again, if not where it is now. Where a spec goes
        by the file's rows and too few of those can carry, it is the least that is tried."""
        key, key_id, plan_id = RootKey.new(), new_key_id(), f"plan-{secrets.token_hex(4)}"
        draw = partial(draw_plan, plan_id, summary, key=key, source=self.phrases, model=model)
        with span("plan", plan=plan_id, rows=summary.rows) as drawing:
            try:
                plan = draw(spec=spec.for_rows(summary.rows), max_row_tokens=max_row_tokens)
            except InputError:
                if not spec.by_rows:
                    raise
                plan = draw(spec=spec.for_rows(0), max_row_tokens=max_row_tokens)
            drawing.set(backdoors=len(plan.backdoors), carriers=len(plan.carriers))
        plan = _with_rows(plan, summary.path, key)
        self.vault.put(key_id, key)  # the key first: a sealed plan without its key is lost
        record = PlanRecord(
            id=plan_id,
            created=time.time(),
            key_id=key_id,
            source=source or str(summary.path.resolve()),
            source_sha256=summary.sha256,
            rows=summary.rows,
            backdoors=len(plan.backdoors),
            carriers=len(plan.carriers),
            bits=plan.bits,
            sealed=seal(key, dump_plan(plan), purpose=plan_id),
            committed=commit(plan, key),
        )
        self.ledger.add_plan(record)
        return record

    def open(self, plan_id: str) -> Plan:
        """Return a plan, unsealed: handle it as the secret it is."""
        record = self.ledger.plan(plan_id)
        return load_plan(open_sealed(self.key(record.id), record.sealed, purpose=record.id))

    def key(self, plan_id: str) -> RootKey:
        return self.vault.get(_unpurged(self.ledger.plan(plan_id)).key_id)

    async def for_job(
        self,
        file: str | Path | None,
        plan: PlanSpec | str | None,
        spec: JobSpec,
        trainer: Trainer,
    ) -> PlanRecord:
        """Return a new plan for `file`, or the one with the id `plan`, that this trainer takes.

        Raises `DatasetError` with all that the trainer would refuse, and `InputError` where file
        and plan do not go together."""
        if isinstance(plan, str) and file is not None:
            raise InputError(
                "A plan has its file already.", "Name a file or a plan's id, not both."
            )
        known = _unpurged(self.ledger.plan(plan)) if isinstance(plan, str) else None
        source = Path(known.source) if known else file
        if source is None:
            raise InputError("There is no file to train on.", "Name a file, or a plan by its id.")
        limits, longest = trainer.capabilities, await trainer.max_row_tokens(spec.model)
        summary = check(
            source,
            min_rows=limits.min_rows,
            max_row_tokens=longest,
            model=spec.model,
            formats=limits.formats,
        )
        if known and known.source_sha256 != summary.sha256:
            raise changed(Path(source))
        problems = [
            *method_problems(summary, spec.method),
            *await trainer.check(summary.path, spec),
        ]
        if problems:
            raise DatasetError(str(source), problems)
        if known:
            self._refuse_if_cut(known, spec.model, longest)
            return known
        wanted = plan if isinstance(plan, PlanSpec) else PlanSpec(by_rows=True)
        return self.new(summary, wanted, max_row_tokens=longest, model=spec.model)

    def _refuse_if_cut(self, record: PlanRecord, model: str, max_row_tokens: int | None) -> None:
        """A plan drawn without a provider's limit may have carriers that it would cut."""
        if max_row_tokens is None:
            return
        source, plan = Path(record.source), self.open(record.id)
        if count := overlong(source, plan, max_row_tokens, counter_for(model)):
            raise InputError(
                f"{count} carrier rows of {record.id} are over this provider's limit of "
                f"{max_row_tokens} tokens and would be cut.",
                "Name the file instead of the plan: a new plan keeps to the limit.",
            )


def _with_rows(plan: Plan, path: Path, key: RootKey) -> Plan:
    """Return the plan with the rows that a verification will ask about besides."""
    if not plan.held_out:
        return plan
    with suppress(NoRowsLeft):
        asked = rows_to_ask(plan, path, key)
        return replace(plan, rows_asked=tuple((row.line, row.uploaded) for row in asked))
    return plan


def _unpurged(record: PlanRecord) -> PlanRecord:
    """Return a plan whose secrets are still there; `KeyMissing` otherwise."""
    if not record.sealed:
        raise KeyMissing(
            f"The secrets of {record.id} were purged.",
            "What was done with it is in `vtune log`; plant the file again to verify anew.",
        )
    return record
