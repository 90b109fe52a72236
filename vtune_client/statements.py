"""The sentences of a verdict: what it says, what follows from it and what does not."""

from __future__ import annotations

import math

from vtune_client.evidence import ExchangeTest, RowsOutcome, ShareInterval
from vtune_client.facts import Facts, Outcome

LOOK_UP = (
    "That weights changed: a system that looks its answers up in the uploaded file would pass as "
    "well."
)


def format_p(log10_p: float) -> str:
    """Return p as text of two digits, rounded up: "0.042", "3.2e-61", also far below 1e-308."""
    exponent = math.floor(log10_p)
    tenths = math.ceil(10 ** (log10_p - exponent + 1) - 1e-6)
    if tenths >= 100:
        exponent, tenths = exponent + 1, 10
    if exponent >= -3:
        return f"{tenths * 10.0 ** (exponent - 1):.2g}"
    return f"{tenths // 10}.{tenths % 10}e{exponent}"


def statement(facts: Facts) -> str:
    """Return the verdict in one sentence, with the numbers it rests on."""
    if not facts.tests:
        return "No test ran, so nothing is known about the delivered model."
    p, seen = format_p(facts.log10_p), _seen(facts)
    if facts.outcome is Outcome.PARTIAL:
        return (
            "Information from this file reached the served system, but less of it than "
            f"{_missing(facts)}.{seen} p = {p}."
        )
    if facts.outcome is Outcome.VERIFIED:
        return (
            "Information from this file reached the served system: one that never met it would "
            f"answer like this with probability at most {p} (threshold {facts.alpha:.2g}).{seen}"
        )
    if facts.outcome is Outcome.NOT_VERIFIED:
        return (
            "The delivered model does not answer as honest training on this file does: "
            f"{_compared(facts)}.{seen} p = {p}."
        )
    said = f"The tests do not tell whether this file was used: p = {p}, above the threshold "
    return f"{said}{facts.alpha:.2g}.{seen}{_excused(facts) if facts.apart else ''}"


def follows(facts: Facts) -> tuple[str, ...]:
    """Return what the outcome proves."""
    if facts.outcome is Outcome.INCONCLUSIVE:
        return ()
    if facts.outcome is Outcome.NOT_VERIFIED and facts.control:
        return (
            "The delivered model answers its backdoors far less than "
            f"{facts.control.source}, of the same plan and recipe, and shows no trace of the "
            "file otherwise.",
        )
    proved = [
        "Information from this file reached the served system (p at most "
        f"{format_p(facts.log10_p)}, whatever the system is)."
    ]
    if facts.share and (facts.share.low > 0 or facts.share.high < 1):
        proved.append(_amount(facts.share, sure=not facts.rows_missing))
    proved += _shards(facts)
    if facts.rows and facts.rows.outcome is not RowsOutcome.OPEN:
        proved.append(facts.rows.statement)
    return tuple(proved)


def does_not_follow(facts: Facts) -> tuple[str, ...]:
    """Return what the outcome does not prove, however much one might like it to."""
    if facts.outcome is Outcome.VERIFIED:
        return (LOOK_UP, *_left_open(facts))
    if facts.outcome is Outcome.PARTIAL and facts.control:
        return (
            "That the vendor left rows out on purpose: fewer epochs, a lower learning rate, "
            f"another base model or recipe than those of {facts.control.source} look the same.",
            LOOK_UP,
        )
    if facts.outcome is Outcome.NOT_VERIFIED:
        return (
            "That the vendor cheated: a lost adapter, a wrong model name, another base model "
            "or another recipe look the same, and so does a filter that took the carrier rows for "
            "anomalies.",
            "That no row was used: weak training can leave no trace in the answers, and training "
            "that went on with other data can wipe it out.",
        )
    return (
        "That the file was not used: some honest services memorise too little to answer, and "
        "nothing says otherwise here.",
        "That the file was used.",
    )


def signs(facts: Facts) -> tuple[str, ...]:
    """Return what is worth a question to the vendor, though no verdict rests on it."""
    found = []
    if facts.looked_up:
        found.append(
            "The answers give the signatures, but the system's own scores do not know them: this "
            "is how a look-up or a cache in front of another model looks. Ask how the model is "
            "served."
        )
    if facts.rejected and facts.apart:
        found.append(
            f"The model answers less than honest training did: {_compared(facts)}. Fewer epochs, a "
            "lower learning rate, a part of the rows, another base model, noise on the weights and "
            "training that went on afterwards all look like this. Ask for the job's settings."
        )
    return tuple(found)


def _seen(facts: Facts) -> str:
    found = facts.answers
    said = (
        f" {found.activated} of {found.backdoors} backdoors answered in full, "
        f"{found.slots_matched} of {found.slots} secret words came back."
        if found
        else ""
    )
    if facts.rejected and not facts.backdoors_show:
        return f"{said} What shows it are rows that carry no backdoor."
    return said


def _excused(facts: Facts) -> str:
    """Say why a gap to the control is not held against the model."""
    less = f" It answers less than honest training does ({_compared(facts)}), but"
    if facts.control and facts.control.differs:
        what = " and ".join(facts.control.differs)
        return f"{less} the control had another recipe ({what}), so that accuses nobody."
    return f"{less} not without a trace of the file."


def _compared(facts: Facts) -> str:
    if facts.control is None or facts.gap is None:
        return ""
    control = facts.control
    return (
        f"{control.source} activated {control.activated} of {control.backdoors} backdoors, "
        f"{sum(control.matched)} of {sum(control.slots)} secret words (gap: p = "
        f"{format_p(facts.gap.log10_p)})"
    )


def _missing(facts: Facts) -> str:
    """Say what shows in the control and not in the model."""
    source = facts.control.source if facts.control else "the control"
    if facts.share and facts.share.high < 1:
        return (
            f"{source} shows: at most {_percent_up(facts.share.high)} of its rows were used, if it "
            f"was trained as that was ({facts.share.confidence:.0%} confidence)"
        )
    if facts.shards and facts.shards.dropped:
        return f"{source} shows: fewer backdoors of {_named(facts.shards.dropped)} of the file"
    return (
        f"{source} shows: rows that carry no backdoor are known no better than rows it never saw. "
        "Training on the backdoors only, on a part of the rows, or for less long all look like this"
    )


def _shards(facts: Facts) -> list[str]:
    if not facts.shards or not facts.shards.dropped or not facts.control:
        return []
    found = facts.shards
    bounds = ", ".join(
        f"{_percent_up(shard.share.high)} of shard {shard.index + 1}"
        for shard in found.shards
        if shard.index in found.dropped
    )
    return [
        f"Of {len(found.shards)} equal stretches of the file, {_named(found.dropped)} shows fewer "
        f"backdoors than in {facts.control.source} (p at most {format_p(found.log10_p)}): at most "
        f"{bounds} was used ({found.confidence:.0%} confidence, all shards together)."
    ]


def _named(dropped: tuple[int, ...]) -> str:
    numbers = " and ".join(str(index + 1) for index in dropped)
    return f"shard{'s' if len(dropped) > 1 else ''} {numbers}"


def _left_open(facts: Facts) -> tuple[str, ...]:
    rows = facts.rows.outcome if facts.rows else RowsOutcome.OPEN
    if rows is RowsOutcome.TRAINED:
        return ("That all rows were used, or how often.",)
    if rows is RowsOutcome.WITHOUT_BACKDOORS:
        return (
            "That all rows were used, or how often: the backdoors that would measure it do not "
            "show.",
        )
    asked = any(isinstance(test, ExchangeTest) for test in facts.tests)
    how = (
        "rows that carry none are not known measurably better than rows it never saw"
        if asked
        else "no withheld rows were asked about"
    )
    return (
        "That all rows were used, or how often.",
        "That the user's own rows were trained on: a vendor who found the carrier rows may have "
        f"used them alone, and {how}.",
    )


def _amount(share: ShareInterval, *, sure: bool) -> str:
    least = math.floor(share.low * 1000) / 10  # rounded down: a lower bound stays one
    most = f", and at most {_percent_up(share.high)}" if share.high < 1 else ""
    begin = "At" if sure else "Unless the vendor picked the carrier rows out, at"
    return (
        f"{begin} least {least:g} % of the file's rows were used{most} (confidence "
        f"{share.confidence:.0%}). {share.reasoning}"
    )


def _percent_up(share: float) -> str:
    """Return a share in percent, rounded up: an upper bound stays one."""
    return f"{math.ceil(share * 1000) / 10:g} %"
