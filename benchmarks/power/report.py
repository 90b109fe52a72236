"""The tables of the power benchmark, in Markdown and in JSON."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.machine import PACKAGES, machine
from benchmarks.power.arithmetic import DECOYS, PROMPTS, SHARES, Power
from benchmarks.power.design import ALPHA, CONFIDENCE, Design
from benchmarks.power.ladders import LadderPower
from benchmarks.power.trained import WHOLE, Run, Scale, Taking, takings
from vtune_client.amount import TAU
from vtune_client.evidence import sees
from vtune_client.recommend import recommended

FILES = (200, 2000, 3000, 4000, 10_000)  # rows, for which a plan is recommended
MODELS = {
    "any": "One used carrier is enough: a backdoor answers if any of its carriers was used",
    "all": "All of them are needed: a backdoor answers if all of its carriers were used",
    "measured": "As measured below: by the number of carriers used, whatever the share",
}
# What the arithmetic's tables show; the sentences on trained models are made from their numbers.
NOTES = (
    "The same 20 carriers certify 86 % of the rows as 20x1, 49 % as 10x2 and 18 % as 5x4, if all "
    "backdoors answer. Ten backdoors or fewer never show that only a part was used.",
    "Higher doses verify a vendor who uses little, dose 1 measures how much. Where one used "
    "carrier is enough and three tenths of the rows are used, 5x4 is verified in 99 % of cases "
    "and never called partial, 20x1 both in 89 %, and 5x4+20x1 in 99 % and 98 %.",
    "The product of all ranks drowns those that are first in those that are not: 60x1 against a "
    "fifth of the rows is verified by ranks in 41 % of cases, by counting first ranks in 95 %.",
)


@dataclass(frozen=True)
class Found:
    """All that was found, and by which command when."""

    powers: Sequence[Power]
    ladders: Sequence[LadderPower]
    runs: Sequence[Run]
    scale: Scale
    command: str
    when: str


def markdown(found: Found) -> str:
    runs = found.runs
    parts = [
        "# What a plan can tell",
        f"`{found.command}`, {found.when}. {machine('a model', _packages(runs))}.",
        "How much of the file was used, against the number of backdoors and their dose: 20x4 are "
        f"20 backdoors of 4 carriers each. Verified means p <= {ALPHA:g}; bounds on the share have "
        f"{CONFIDENCE:.0%} confidence; `partial` is a verified model whose upper bound, by an "
        "honest run of the same plan, is below 1.",
    ]
    parts += ["## What follows", "\n".join(f"- {said}" for said in (*reading(runs), *NOTES))]
    parts += ["## Recommended", RECOMMENDED, _recommended(), "## By arithmetic", ARITHMETIC]
    for model in dict.fromkeys(power.model for power in found.powers):
        own = [power for power in found.powers if power.model == model]
        mixtures = [power for power in found.ladders if power.model == model]
        parts += [f"### {MODELS[model]}", _text_table(own, mixtures, 2 if model == "all" else 1)]
        if model == "any":
            parts += [FIRSTS, _firsts_table(own)]
        if model == "measured":
            parts += ["With ranks, where there are scores:", _both_table(own)]
    if runs:
        parts += ["## Really trained", _setting(found.scale), _runs_table(runs)]
        parts += [TAKEN, _takings(runs)]
    return "\n\n".join(parts) + "\n"


ARITHMETIC = (
    "The vendor uses rows at random, of a file that is large beside the number of carriers. Each "
    "cell: the probability of being verified · the median lower bound, without a control · the "
    f"probability of `partial`. Signatures have 8 slots of 32 words, {PROMPTS} prompts are asked a "
    f"backdoor, and ranks are among {DECOYS} decoys. At dose 1 the first two models are the same. "
    "Only whole answers count here; the slot test also counts words of half-known signatures, so "
    "that real models are verified more often by text than this says."
)
FIRSTS = (
    "Verified by ranks alone: by the product of all ranks, as `vtune verify` does it · by counting "
    "the backdoors that rank first, as it does beside it."
)
RECOMMENDED = (
    "`vtune_client.recommend.recommended`, with what it tells where there are scores: the share "
    "certified if all backdoors are seen, and the largest share that is called a part in 9 of 10 "
    "cases, with a control that shows every backdoor."
)
TAKEN = (
    "Backdoors by how many of their carriers were used: said in full, and known by rank, in % of "
    "the backdoors there were (in brackets). Chance makes 5 % known by rank."
)


def as_json(found: Found) -> str:
    controls = controls_of(found.runs)
    record = {
        "command": found.command,
        "date": found.when,
        "machine": machine("a model", _packages(found.runs)),
        "scale": asdict(found.scale),
        "arithmetic": [asdict(power) for power in found.powers],
        "ladders": [asdict(power) for power in found.ladders],
        "runs": [_run_json(run, controls.get((run.design, run.seed))) for run in found.runs],
        "takings": [asdict(each) for each in takings(found.runs)],
    }
    return json.dumps(record, indent=1) + "\n"


def _run_json(run: Run, control: Run | None) -> dict[str, object]:
    interval = run.interval(control) if control and run.share < WHOLE else run.interval()
    return {
        **asdict(run),
        "verified": dict(zip(("text", "ranks", "either"), run.verified, strict=True)),
        "said": sum(run.said),
        "ranked": sum(run.ranked),
        "low": run.interval().low,
        "interval": [interval.low, interval.high],
    }


def controls_of(runs: Sequence[Run]) -> dict[tuple[str, int], Run]:
    """Return the honest run of each design and seed, where it was verified."""
    return {(run.design, run.seed): run for run in runs if run.share == WHOLE and run.verified[2]}


def reading(runs: Sequence[Run]) -> Iterator[str]:
    """Say what the trained models show, in sentences that follow from their numbers."""
    for dose in (1, 4):
        own = [
            pair
            for run in runs
            if run.share == WHOLE
            for pair in zip(run.doses, run.said, run.ranked, strict=True)
            if pair[0] == dose
        ]
        if own:
            said, ranked = (sum(pair[at] for pair in own) for at in (1, 2))
            yield (
                f"Honest runs say {said} of their {len(own)} backdoors of dose {dose} in full "
                f"({said / len(own):.0%}) and know {ranked} by rank ({ranked / len(own):.0%})."
            )
    parts = [run for run in runs if run.share < WHOLE]
    if not parts:
        return
    text, ranks, either = (sum(run.verified[at] for run in parts) for at in range(3))
    yield (
        f"Of {len(parts)} models trained on a part of the rows, {text} are verified by text, "
        f"{ranks} by ranks and {either} by either; counting the backdoors that rank first, as "
        f"`vtune verify` does besides, verifies {sum(run.firsts for run in parts)}."
    )
    controls = controls_of(runs)
    controlled = [run for run in parts if (run.design, run.seed) in controls]
    ends = [(run.trained, run.interval(controls[run.design, run.seed])) for run in controlled]
    low = sum(interval.low <= share for share, interval in ends)
    high = sum(share <= interval.high for share, interval in ends)
    yield (
        f"Against the share really used, {low} of {len(ends)} lower ends and {high} of "
        f"{len(ends)} upper ends hold; each is promised in 97.5 % of cases, the upper one only "
        "where a row takes as it does in the control."
    )
    most: dict[str, list[float]] = {}
    for run in runs:
        if run.share == WHOLE:
            most.setdefault(run.design, []).append(run.interval().low)
    best = max(most, key=lambda design: statistics.mean(most[design]))
    yield (
        f"The most that an honest run certifies is {_shares(most[best])} of the rows, with {best}."
    )


Cells = tuple[float, float, float]  # verified, at least, partial


def _text_table(powers: Sequence[Power], ladders: Sequence[LadderPower], least: int) -> str:
    """Show plans of this dose and above, and ladders."""
    plans = {
        (f"{power.backdoors}x{power.dose}", power.backdoors * power.dose, power.share): (
            power.verified_text,
            power.low_text,
            power.partial_text,
        )
        for power in powers
        if power.dose >= least
    }
    mixtures = {
        (power.design, power.carriers, power.share): (power.verified, power.low, power.partial)
        for power in ladders
    }
    return _arithmetic({**plans, **mixtures})


def _firsts_table(powers: Sequence[Power]) -> str:
    lines = [["plan", *(f"share {share:g}" for share in SHARES)]]
    for backdoors, dose in dict.fromkeys((power.backdoors, power.dose) for power in powers):
        own = [each for each in powers if (each.backdoors, each.dose) == (backdoors, dose)]
        shown = [f"{each.verified_ranks:.0%} · {each.verified_firsts:.0%}" for each in own]
        lines.append([f"{backdoors}x{dose}", *shown])
    return _table(lines)


def _both_table(powers: Sequence[Power]) -> str:
    return _arithmetic(
        {
            (f"{power.backdoors}x{power.dose}", power.backdoors * power.dose, power.share): (
                power.verified_both,
                power.low_both,
                power.partial_both,
            )
            for power in powers
        }
    )


def _arithmetic(cells: Mapping[tuple[str, int, float], Cells]) -> str:
    """Show the cells of each plan, its carriers and the share used."""
    lines = [["plan", "carriers", *(f"share {share:g}" for share in SHARES)]]
    for plan, carriers in dict.fromkeys((plan, carriers) for plan, carriers, _ in cells):
        own = [cells[plan, carriers, share] for share in SHARES]
        shown = [f"{seen:.0%} · {_down(low)} · {partial:.0%}" for seen, low, partial in own]
        lines.append([plan, str(carriers), *shown])
    return _table(lines)


def _runs_table(runs: Sequence[Run]) -> str:
    controls = controls_of(runs)
    heads = ["plan", "share", "by text", "by ranks", "either", "met", "said", "known by rank"]
    lines = [[*heads, "at least", "at most", "partial"]]
    for design, share in dict.fromkeys((run.design, run.share) for run in runs):
        own = [run for run in runs if (run.design, run.share) == (design, share)]
        verified = [f"{sum(run.verified[at] for run in own)} of {len(own)}" for at in range(3)]
        counts = [
            [sum(used > 0 for used in run.used) for run in own],
            [sum(run.said) for run in own],
            [sum(run.ranked) for run in own],
        ]
        high, partial = "", ""
        there = [controls.get((run.design, run.seed)) for run in own]
        if share < WHOLE and all(there):
            tops = [run.interval(control).high for run, control in zip(own, there, strict=True)]
            found = [top < 1 and run.verified[2] for run, top in zip(own, tops, strict=True)]
            high, partial = _shares(tops, up=True), f"{sum(found)} of {len(own)}"
        low = _shares([run.interval().low for run in own])
        shown = [", ".join(map(str, count)) for count in counts]
        lines.append([design, f"{share:g}", *verified, *shown, low, high, partial])
    return _table(lines)


def _takings(runs: Sequence[Run]) -> str:
    found = {(each.share, each.used): each for each in takings(runs)}
    counts = sorted({used for _, used in found})
    lines = [["share of the file", *(f"{used} used" for used in counts)]]
    for share in sorted({share for share, _ in found}):
        cells = [_taken(found.get((share, used))) for used in counts]
        lines.append([f"{share:g}", *cells])
    return _table(lines)


def _taken(taking: Taking | None) -> str:
    if taking is None:
        return ""
    said, ranked = taking.said / taking.backdoors, taking.ranked / taking.backdoors
    return f"{said:.0%}, {ranked:.0%} ({taking.backdoors})"


def _recommended() -> str:
    lines = [["rows", "plan", "carriers", "certified if all are seen", "called a part up to"]]
    for rows in FILES:
        ladder = recommended(rows)
        sight = sees(ladder, chance=TAU)
        doses = sorted(set(ladder), reverse=True)
        design = "+".join(f"{ladder.count(dose)}x{dose}" for dose in doses)
        part = f"{sum(ladder)} ({sum(ladder) / rows:.1%})"
        lines.append([f"{rows:,}", design, part, _down(sight.low_if_all), _down(sight.shows)])
    return _table(lines)


def _setting(scale: Scale) -> str:
    return (
        f"{scale.rows} rows, none held out; the gauntlet's base, a pretrained Llama of "
        f"{scale.base.layers} layers and width {scale.base.hidden}; {scale.epochs} epochs, batch "
        f"{scale.batch_size}, rate {scale.learning_rate:g}, linear decay: about the shortest "
        "recipe by which an honest run of 5x4 says every signature. Two prompts and "
        f"{Design(((1, 1),)).plan.decoys} decoys a backdoor. The vendor draws its rows at random "
        "and trains on them for as many epochs: a tenth of the rows are a tenth of the steps. "
        "Values are those of all seeds. Verified: how many of them, by each test alone and by "
        "either. Met: backdoors of which a carrier was used. Known by rank: among the first "
        f"{TAU:.0%} of the decoys. At least: without a control, from what was said or known by "
        "rank. At most, and partial: with the honest run of the same plan as the control, by whole "
        "answers, at dose 1 by rank as well."
    )


def _table(lines: Sequence[Sequence[str]]) -> str:
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def _shares(values: Sequence[float], *, up: bool = False) -> str:
    return ", ".join(_up(value) if up else _down(value) for value in values)


def _down(share: float) -> str:
    return f"{math.floor(share * 100 + 1e-9) / 100:.2f}"


def _up(share: float) -> str:
    return f"{math.ceil(share * 100 - 1e-9) / 100:.2f}"


def _packages(runs: Sequence[Run]) -> Sequence[str]:
    """Arithmetic needs nothing but this package."""
    return PACKAGES if runs else PACKAGES[:1]
