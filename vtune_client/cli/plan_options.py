"""The options that make a plan, shared by the commands that draw one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vtune_client.phrases import PhraseSource
    from vtune_client.plan import PlanSpec

Command = TypeVar("Command", bound=Callable[..., Any])

LADDER = frozenset({"backdoors", "dose", "doses", "shards", "per_shard"})
PHRASES_KEY_VARIABLE = "VTUNE_PHRASES_API_KEY"


def plan_options(command: Command) -> Command:
    """Add the options that make a `PlanSpec` and a phrase source."""
    options = (
        click.option(
            "--backdoors", type=int, help="Distinct backdoors.  [default: by the file's rows]"
        ),
        click.option(
            "--dose", type=int, help="Carrier rows of each.  [default: by the file's rows]"
        ),
        click.option(
            "--doses",
            metavar="N,N,...",
            callback=_ladder,
            help="Carrier rows of each backdoor in turn, in place of --backdoors and --dose.",
        ),
        click.option(
            "--shards", type=int, help="Stretches with backdoors of their own. [default: 0]"
        ),
        click.option("--per-shard", type=int, help="Backdoors kept inside each.  [default: 1]"),
        click.option("--frames", type=int, help="Distinct signature sentences.  [default: 1]"),
        click.option("--trigger-frames", type=int, help="Distinct trigger sentences. [default: 1]"),
        click.option(
            "--stealthy",
            is_flag=True,
            default=None,
            help="Carriers as hard to find as can be: 20 backdoors of one carrier, phrased in the "
            "file's own words. Wants a large model, or one that gives scores.",
        ),
        click.option(
            "--join",
            type=click.Choice(["line", "space", "auto"]),
            help="What follows a signature; auto goes by the file.  [default: line]",
        ),
        click.option(
            "--reserve", type=int, help="Backdoors kept back for a re-audit.  [default: 0]"
        ),
        click.option("--hold-out", type=int, help="Rows to withhold.  [default: 0]"),
        click.option("--decoys", type=int, help="Decoys per signature.  [default: 100]"),
        click.option("--alpha", type=float, help="Threshold of the verdict.  [default: 1e-6]"),
        click.option(
            "--phrases-url",
            metavar="URL",
            help="An OpenAI-compatible service that proposes phrases in the register of the file; "
            f"it sees a few rows. Its key from {PHRASES_KEY_VARIABLE}.",
        ),
        click.option("--phrases-model", metavar="NAME", help="The model to ask there."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def plan_spec(**given: Any) -> PlanSpec:
    """Return the `PlanSpec` of the options given; the rest keep their defaults."""
    from vtune_client.plan import PlanSpec

    given["held_out"] = given.pop("hold_out")
    stealthy = given.pop("stealthy", None)
    chosen = {name: value for name, value in given.items() if value is not None}
    if stealthy:
        return PlanSpec.stealthy(**chosen)
    return PlanSpec(**chosen, by_rows=not LADDER.intersection(chosen))


def _ladder(
    context: click.Context, option: click.Parameter, given: str | None
) -> tuple[int, ...] | None:
    if given is None:
        return None
    try:
        return tuple(int(dose) for dose in given.split(","))
    except ValueError:
        raise click.BadParameter("numbers with commas between them, like 12,6,3,2,1") from None


def phrase_source(options: dict[str, Any]) -> PhraseSource | None:
    """Take the phrase options out of `options`; return the source they name, if any."""
    url, model = options.pop("phrases_url"), options.pop("phrases_model")
    if (url is None) != (model is None):
        raise click.UsageError("--phrases-url and --phrases-model go together.")
    if url is None:
        return None
    from vtune_client.phrases.asked import AskedSource

    return AskedSource(url, model, os.environ.get(PHRASES_KEY_VARIABLE))
