"""The pairs by how the recipes differ, and the runs by recipe, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.gauntlet.drill import Setting
from benchmarks.recipes.cells import Done, Recipe
from benchmarks.recipes.pairs import ALPHA, Pair, traces
from vtune_client.verdict import Outcome, format_p

SAME, BASE = "the same recipe", "the base as it is, for comparison"
SHOWN = (Outcome.VERIFIED, Outcome.PARTIAL, Outcome.INCONCLUSIVE, Outcome.NOT_VERIFIED)


def difference(pair: Pair) -> str:
    """Say in what the delivered recipe differs from the control's."""
    control, delivered = pair.control, pair.delivered
    if delivered is None:
        return BASE
    if control == delivered:
        return SAME
    epochs = control.epochs / delivered.epochs
    same_rate, same_rank = control.rate == delivered.rate, control.rank == delivered.rank
    if same_rate and same_rank:
        if epochs < 1:
            return "more epochs than the control"
        return f"{'half of the epochs or more' if epochs <= 2 else 'less than half of the epochs'}"
    if epochs == 1 and same_rank:
        return f"a {'lower' if control.rate > delivered.rate else 'higher'} rate alone"
    if bool(control.rank) != bool(delivered.rank):
        return (
            "adapters, the control in full" if delivered.rank else "in full, the control adapters"
        )
    return "several of these" if epochs != 1 or not same_rate else "adapters of another rank alone"


ORDER = (
    SAME,
    "half of the epochs or more",
    "less than half of the epochs",
    "more epochs than the control",
    "a lower rate alone",
    "a higher rate alone",
    "adapters of another rank alone",
    "adapters, the control in full",
    "in full, the control adapters",
    "several of these",
    BASE,
)


def by_difference(pairs: Sequence[Pair]) -> str:
    groups: dict[str, list[Pair]] = {name: [] for name in ORDER}
    for pair in pairs:
        groups[difference(pair)].append(pair)
    heads = ["delivered", "pairs", *map(str, SHOWN), "without the trace rule", "whole answers"]
    lines = [[name, *_counts(own)] for name, own in groups.items() if own]
    honest = [pair for pair in pairs if pair.delivered]
    return _table(heads, [*lines, ["all but the base", *_counts(honest)]])


def _counts(pairs: Sequence[Pair]) -> list[str]:
    outcomes = Counter(pair.found.outcome for pair in pairs)
    return [
        str(len(pairs)),
        *(str(outcomes[outcome]) for outcome in SHOWN),
        str(sum(pair.found.gap_alone for pair in pairs)),
        str(sum(pair.found.whole_answers for pair in pairs)),
    ]


def by_recipe(cells: Sequence[Done], pairs: Sequence[Pair]) -> str:
    heads = ["recipe", "runs", "loss", "answered in full", "words", "ranks: p", "rows: p"]
    heads += [
        "trace in slots",
        "in ranks",
        "in rows",
        "in none",
        "verified",
        "accused",
        "by whole answers",
    ]
    lines = []
    for recipe in dict.fromkeys(cell.wanted.recipe for cell in cells):
        of_recipe = [cell for cell in cells if cell.wanted.recipe == recipe]
        own = [cell.verification for cell in of_recipe]
        losses = [cell.loss for cell in of_recipe if cell.loss is not None]
        found = [traces(verdict) for verdict in own]
        against = [pair.found for pair in pairs if pair.delivered == recipe]
        lines.append(
            [
                named(recipe),
                str(len(own)),
                _range(losses, "{:.2f}".format),
                _range([verdict["activated"] for verdict in own]),
                _range([verdict["slots_matched"] for verdict in own]),
                _range(_log10_ps(own, "ranks"), format_p),
                _range(_log10_ps(own, "rows"), format_p),
                *(str(sum(each.get(test, False) for each in found)) for test in _TESTS),
                str(sum(not any(each.values()) for each in found)),
                str(sum(verdict["verdict"] == Outcome.VERIFIED for verdict in own)),
                _of(each.accused for each in against),
                _of(each.whole_answers for each in against),
            ]
        )
    return _table(heads, lines)


_TESTS = ("slots", "ranks", "rows")


def named(recipe: Recipe | None) -> str:
    if recipe is None:
        return "the base as it is"
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    return f"{recipe.method}, rate {recipe.rate:g}, {epochs}"


def reading(cells: Sequence[Done], pairs: Sequence[Pair], text_alone: Sequence[Pair]) -> str:
    """Say what the tables show, counted from them; `text_alone` are pairs without scores."""
    unscored = [pair.found for pair in text_alone if pair.delivered]
    honest = [pair.found for pair in pairs if pair.delivered]
    same = [pair.found for pair in pairs if pair.delivered and difference(pair) == SAME]
    base = [pair.found for pair in pairs if pair.delivered is None]
    trained = [traces(cell.verification) for cell in cells if cell.wanted.recipe]
    none = sum(not any(each.values()) for each in trained)
    partial = sum(found.outcome is Outcome.PARTIAL for found in honest)
    return "\n".join(
        [
            f"- Of {len(honest):,} pairs of honest runs the rule accuses "
            f"{_share(found.accused for found in honest)}; without its second half, a trace in no "
            f"test, it would accuse {_share(found.gap_alone for found in honest)}, and the rule of "
            f"whole answers {_share(found.whole_answers for found in honest)}.",
            f"- With a control of the same recipe it accuses "
            f"{_share(found.accused for found in same)} of {len(same)}.",
            f"- Some test finds a trace of the file in {len(trained) - none} of {len(trained)} "
            f'honest runs; only the other {none} can be called "not verified" at all.',
            f'- "Partial" is said of {partial} of the {len(honest):,} pairs: a weaker recipe than '
            "the control's looks like a part of the file, as every such verdict says.",
            f"- The base as it is, delivered in place of a trained model, is accused in "
            f"{_share(found.accused for found in base)} of {len(base)} pairs; the others have a "
            "control that itself answers too little.",
            f"- Where the service offers no scores, the rule accuses "
            f"{_share(found.accused for found in unscored)} of {len(unscored):,} pairs of honest "
            "runs: text alone finds fewer traces.",
        ]
    )


def setting_of(plain: Setting, seeds: int, runs: int) -> str:
    plan = plain.plan
    return (
        f"{plain.rows} rows, {plan.held_out} of them withheld and asked about; {plan.backdoors} "
        f"backdoors of {plan.dose} carriers, {plan.decoys} decoys; batch {plain.batch_size}, the "
        f"rate decays linearly. {seeds} files, each trained on {runs} times with every recipe, the "
        "rows in another order. Each run is judged by each other run of its file that was "
        "verified, as its control: not verified where the gap to it has p <= 0.01 and no test of "
        f"the model an adjusted p <= 0.01; alpha is {ALPHA:g}."
    )


def _log10_ps(verdicts: Sequence[Any], test: str) -> list[float]:
    return [
        each["log10_p"]
        for verdict in verdicts
        for each in verdict["tests"]
        if each["name"].startswith(test)
    ]


def _range(values: Sequence[Any], show: Callable[[Any], str] = str) -> str:
    if not values:
        return ""
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} .. {high}"


def _of(accused: Iterable[bool]) -> str:
    found = list(accused)
    return f"{sum(found)} of {len(found)}"


def _share(accused: Iterable[bool]) -> str:
    found = list(accused)
    return f"{sum(found):,} ({sum(found) / len(found):.1%})" if found else "0"


def _table(heads: list[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
