"""`vtune lint`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from vtune_client.cli.output import emit, format_option, open_client, progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from vtune_client.stealth import Finding, LintReport, Sample

FOUND = 1


@click.command()
@click.argument("planted", type=click.Path(dir_okay=False))
@click.option("--plan", "plan_id", required=True, help="The plan that PLANTED was written for.")
@click.option(
    "--model",
    help="Also score first sentences with this model on this machine, such as "
    "smollm2-135m-instruct.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 where a detector finds carriers.")
@format_option
def lint(planted: str, plan_id: str, model: str | None, strict: bool, format_: str) -> int:
    """Look at a PLANTED file as a vendor who looks would, and say what gives its carriers away.

    Every detector sees the rows alone; the plan only tells how right it was. Nothing leaves this
    machine.
    """
    from vtune_client.stealth import LintReport, carrier_lines, samples_of
    from vtune_client.stealth import lint as run
    from vtune_client.stealth.samples import require_planted

    with open_client() as vtune, progress() as tell:
        tell("reading rows", None)
        plan, samples = vtune.open_plan(plan_id), samples_of(planted)
        require_planted(samples, plan)
        carriers = carrier_lines(plan)
        tell("looking for carriers", None)
        report = run(samples, carriers)
        if model:
            tell("scoring first sentences", None)
            more = _perplexity(model, samples, carriers)
            report = LintReport(report.rows, report.carriers, (*report.findings, more))
    emit(format_, {"plan": plan.id, **report.to_json()}, lambda: "\n".join(_lines(report)))
    return FOUND if strict and not report.hidden else 0


def _perplexity(model: str, samples: Sequence[Sample], carriers: AbstractSet[int]) -> Finding:
    """Ask the local provider alone: another would be shown which sentences matter."""
    import asyncio

    from vtune_client.provider import endpoint_of
    from vtune_client.stealth.model import perplexity

    endpoint = endpoint_of("local", {})

    async def asked() -> Finding:
        await endpoint.acquire(model)
        try:
            return await perplexity(endpoint, samples, carriers)
        finally:
            await endpoint.release()

    return asyncio.run(asked())


def _lines(report: LintReport) -> Iterator[str]:
    width = max(len(finding.detector) for finding in report.findings)
    yield f"{report.carriers} of {report.rows} rows carry."
    yield ""
    yield f"{'detector':<{width}}  AUC   (95 %)        recall at 1 % false positives (95 %)"
    for finding in report.findings:
        yield (
            f"{finding.detector:<{width}}  {finding.auc:.2f}  {_interval(finding.auc_interval)}  "
            f"{finding.recall:4.0%}  {_interval(finding.recall_interval)}  "
            f"{'hidden' if finding.hidden else 'FOUND'}"
        )
    loud = [finding for finding in report.findings if not finding.hidden]
    for finding in loud:
        yield ""
        yield f"{finding.detector}: finds {finding.looks_for}."
        yield f"  {finding.advice}"
    yield ""
    yield _conclusion(bool(loud))


def _interval(interval: tuple[float, float]) -> str:
    return f"({interval[0]:.2f}-{interval[1]:.2f})"


def _conclusion(found: bool) -> str:
    if not found:
        return "None of these detectors tells carriers from the rest."
    return (
        "A vendor who looks could find the carriers. The evidence does not rest on their being "
        "hidden:\nto catch training on them alone, hold rows out (--hold-out)."
    )
