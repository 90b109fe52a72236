"""One verification, from whom to ask to the verdict in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vtune_client.client.asked import Asked
from vtune_client.client.plans import Plans
from vtune_client.errors import InputError
from vtune_client.held_out import AskedRow, NoRowsLeft, rows_to_ask
from vtune_client.ledger import Ledger
from vtune_client.plan import Plan
from vtune_client.provider import endpoint_of
from vtune_client.rounds import Round, control_from, open_round, part_of, require_closed
from vtune_client.telemetry import count, span
from vtune_client.vault import RootKey
from vtune_client.verify import OnStep, Verification, verify


@dataclass(frozen=True)
class Verifying:
    """Asks about plans, and keeps what comes of it."""

    ledger: Ledger
    plans: Plans

    async def verify(
        self, asked: Asked, budget: int | None, text_only: bool, on_step: OnStep
    ) -> Verification:
        """Ask, judge, and keep the verdict."""
        with span("verify", **asked.traced) as traced:
            result = await self._judged(asked, budget, text_only, on_step)
            traced.set(verification=result.id, outcome=result.verdict.outcome)
            count("vtune.verdicts", outcome=result.verdict.outcome)
        return result

    async def _judged(
        self, asked: Asked, budget: int | None, text_only: bool, on_step: OnStep
    ) -> Verification:
        plan_id, target = asked.plan_id, asked.target
        if asked.control and asked.stop_early:
            raise InputError(
                "A comparison with a control needs every question asked.",
                "Leave out the control, or let the round go to its end.",
            )
        control = (
            control_from(self.ledger, asked.control, plan_id, asked.job_id)
            if asked.control
            else None
        )
        key = self.plans.key(plan_id)
        plan = self.plans.open(plan_id)
        part = part_of(plan, asked.round)
        require_closed(self.ledger, part)
        rows = self._rows(asked, plan, key)
        endpoint = endpoint_of(target.provider, asked.connection)
        record = open_round(
            self.ledger,
            plan_id,
            asked.job_id,
            asked.round,
            remembers=endpoint.capabilities.remembers,
        )
        result = await verify(
            part,
            Round(self.ledger, record, key),
            endpoint,
            target,
            base_endpoint=endpoint_of(target.provider, asked.connection) if target.base else None,
            rows=rows,
            control=control,
            budget=budget,
            text_only=text_only,
            stop_early=asked.stop_early,
            on_step=on_step,
        )
        self.ledger.finish(record, result.to_json())
        return result

    def _rows(self, asked: Asked, plan: Plan, key: RootKey) -> tuple[AskedRow, ...]:
        """Return the rows to ask about, found before anything is asked."""
        if not asked.rows or asked.stop_early or not plan.held_out:
            return ()
        file = Path(asked.file or self.ledger.plan(plan.id).source)
        try:
            return rows_to_ask(plan, file, key)
        except NoRowsLeft:
            return ()
        except InputError as error:
            raise InputError(
                f"The rows of {plan.id} cannot be asked about: {error.message}",
                "Say where the file is (`--file`), or leave the rows out (`--no-rows`).",
            ) from None
