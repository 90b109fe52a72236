"""One round of questions to one endpoint: what is known already is not asked again.

A service must not see a signature before its last text is in: scoring shows it every signature
among decoys, and text that comes after proves nothing. Scoring a row shows it no secret.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from vtune_client.held_out import AskedRow
from vtune_client.plan import Plan, lineup
from vtune_client.probe import Meter, Q, Query, Sleep, ask, gather, score
from vtune_client.provider import Answer, Decoding, Endpoint, ScoresNotOffered, TokenScores
from vtune_client.rounds import SCORES, Round
from vtune_client.telemetry import span

OnStep = Callable[[str, int, int], None]  # what, done, of how many


@asynccontextmanager
async def acquired(endpoint: Endpoint, model: str) -> AsyncIterator[None]:
    """Release whatever happens: an `acquire` that failed may have started something, too."""
    with span("serve", model=model):
        try:
            await endpoint.acquire(model)
            yield
        finally:
            await endpoint.release()


@dataclass(frozen=True)
class Asking:
    """One attempt at a round: `known` is what earlier attempts have learned, by item."""

    plan: Plan
    round: Round
    meter: Meter
    known: Mapping[str, Any]
    on_step: OnStep
    sleep: Sleep

    def check_budget(
        self, texts: Sequence[Query], scored_rows: Sequence[AskedRow], who: Sequence[str], ups: bool
    ) -> None:
        """Raise `BudgetError` where the budget cannot pay for all that is still to be asked.

        `who` are scored: each for the rows and, if `ups`, for every line-up."""
        items = [query.item for query in texts]
        items += [_row_item(each, row) for each in who for row in scored_rows]
        queries = sum(item not in self.known for item in items)
        for each in who if ups else ():
            for index in range(len(self.plan.backdoors)):
                if _item(each, index) not in self.known:
                    queries += len(lineup(self.plan, index, self.round.key)[0])
        self.meter.check(queries)

    async def answers(
        self, endpoint: Endpoint, queries: Sequence[Q], decoding: Decoding, what: str = "asking"
    ) -> dict[str, Answer]:
        """Return the answers by item."""
        earlier = {q.item: answer_of(self.known[q.item]) for q in queries if q.item in self.known}
        done = len(earlier)

        def keep(query: Q, answer: Answer) -> None:
            nonlocal done
            done += 1
            self.round.save(query.item, _plain(answer))
            self.on_step(what, done, len(queries))

        self.on_step(what, done, len(queries))
        return await ask(
            endpoint,
            queries,
            decoding,
            known=earlier,
            keep=keep,
            meter=self.meter,
            sleep=self.sleep,
        )

    async def rows(
        self, endpoint: Endpoint, who: str, rows: Sequence[AskedRow]
    ) -> list[float] | None:
        """Return the log-probability of each row's completion, in nats; None as for line-ups."""
        items = {row.number: _row_item(who, row) for row in rows}
        found: dict[int, float] = {
            number: self.known[item] for number, item in items.items() if item in self.known
        }
        done = len(found)

        def one(row: AskedRow) -> Callable[[], Awaitable[None]]:
            async def scored() -> None:
                nonlocal done
                [value] = await score(
                    endpoint, row.prompt, [row.completion], meter=self.meter, sleep=self.sleep
                )
                self.round.save(items[row.number], value)
                found[row.number] = value
                done += 1
                self.on_step(f"scoring rows ({who})", done, len(rows))

            return scored

        missing = [one(row) for row in rows if row.number not in found]
        try:
            await gather(endpoint, missing[:1])  # alone: it shows whether there are scores
            await gather(endpoint, missing[1:])
        except ScoresNotOffered:
            return None
        return [found[row.number] for row in rows]

    async def line_ups(self, endpoint: Endpoint, who: str) -> list[Sequence[float]] | None:
        """Return, per backdoor, the score of the true signature and then of its decoys, in nats.

        None where the endpoint does not offer scores after all."""
        scores: list[Sequence[float]] = []
        for index in range(len(self.plan.backdoors)):
            self.on_step(f"scoring ({who})", index, len(self.plan.backdoors))
            candidates, place = lineup(self.plan, index, self.round.key)
            found = self.known.get(_item(who, index))
            if found is None:
                try:
                    found = await self._line_up(endpoint, who, index, candidates)
                except ScoresNotOffered:
                    return None
            scores.append([found[place], *found[:place], *found[place + 1 :]])
        self.on_step(f"scoring ({who})", len(self.plan.backdoors), len(self.plan.backdoors))
        return scores

    async def _line_up(
        self, endpoint: Endpoint, who: str, index: int, candidates: Sequence[str]
    ) -> list[float]:
        # Written first: from here on the service may have seen the signature.
        self.round.save(f"{SCORES} begun", True)
        prompt = self.plan.backdoors[index].probes()[-1]
        found = list(await score(endpoint, prompt, candidates, meter=self.meter, sleep=self.sleep))
        self.round.save(_item(who, index), found)
        return found


def _item(who: str, index: int) -> str:
    return f"{SCORES} {who} {index}"


def _row_item(who: str, row: AskedRow) -> str:
    # Not one of SCORES, whose items tell that a signature was shown.
    return f"{row.item} scored {who}"


def _plain(answer: Answer) -> dict[str, Any]:
    plain: dict[str, Any] = {"text": answer.text, "finish": answer.finish}
    if answer.tokens:
        plain["tokens"] = [[token.text, token.logprob, token.top] for token in answer.tokens]
    return plain


def answer_of(plain: Mapping[str, Any]) -> Answer:
    """Return the answer that the ledger keeps as a JSON value."""
    tokens = (
        TokenScores(text, logprob, tuple((other, value) for other, value in top))
        for text, logprob, top in plain.get("tokens", ())
    )
    return Answer(plain["text"], plain["finish"], tuple(tokens))
