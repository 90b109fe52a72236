"""`vtune demo`."""

from __future__ import annotations

from typing import Any

import click

from vtune_client.cli.output import EXIT_CODES, emit, format_option, progress


@click.command()
@click.option("--decoys", default=0, show_default=True, help="Also rank signatures among so many.")
@click.option("--seed", default=0, show_default=True, help="Seed of the training, not of secrets.")
@click.option("--prepare", is_flag=True, help="Only convert the embedded base for later use.")
@format_option
def demo(decoys: int, seed: int, prepare: bool, format_: str) -> int:
    """Plant a real data set, train the embedded model on it, verify, and ask the untouched base.

    Exit code 0 if the tuned model is verified and the base is not.
    """
    from vtune_client.demo import prepare as prepare_base
    from vtune_client.demo import run_demo

    with progress() as tell:
        if prepare:
            tell("converting the embedded base", None)
            prepare_base()
            emit(format_, {"prepared": True}, lambda: "The embedded base is ready.")
            return 0
        result = run_demo(tell, decoys=decoys, seed=seed)
    emit(format_, result.to_json(), lambda: _text(result))
    if EXIT_CODES[result.base.verdict.outcome] == 0:
        return 1
    return EXIT_CODES[result.tuned.verdict.outcome]


def _text(result: Any) -> Any:
    from vtune_client.report.demo import render_demo

    return render_demo(result)
