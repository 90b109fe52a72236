"""What a plan will be able to tell, said before anything is uploaded."""

from __future__ import annotations

import math

from vtune_client.evidence import sees
from vtune_client.plan import Plan


def foresight(plan: Plan) -> tuple[str, ...]:
    """Return sentences on what the plan's verdict will be able to tell, and what not."""
    return (sees(plan.asked.doses).sentence, *_chosen(plan), _rows(plan), *_reserve(plan))


def _chosen(plan: Plan) -> tuple[str, ...]:
    if plan.eligible == 1:
        return ()
    return (
        f"Carriers stand in {plan.eligible:.1%} of the rows that could carry, so that is said of "
        "those; of all rows a lower bound is that much lower.",
    )


def _rows(plan: Plan) -> str:
    if not plan.held_out:
        return (
            "No rows are withheld, so training on the rows will not be told from training on the "
            "backdoors alone."
        )
    # Fresh prompts are those of withheld rows, which are then not asked about again.
    fresh = [prompt for backdoor in plan.backdoors for prompt in backdoor.fresh]
    asked = sum(prompt not in fresh[:at] for at, prompt in enumerate(fresh))
    left = max(0, len(plan.held_out) - asked)
    least = -math.log10(math.comb(2 * left, left))
    enough = least <= math.log10(plan.spec.alpha)
    said = f"{len(plan.held_out)} rows are withheld"
    if left < 1:
        return f"{said}, and all serve as fresh prompts: none is left to tell the rows by."
    what = "show" if enough else "hint at, but by themselves not prove,"
    return f"{said}: {left} of them are left to {what} that the rows themselves were trained on."


def _reserve(plan: Plan) -> tuple[str, ...]:
    kept = len(plan.in_reserve.backdoors)
    if not kept:
        return ()
    return (
        f"{kept} backdoors more are kept in reserve: no verification asks them, so they can still "
        "be asked once the others have been shown to somebody (`vtune reprobe`).",
    )
