"""What was asked of a model and what it said, unsealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.plan import Plan
from vtune_client.probe import probes_of


@dataclass(frozen=True)
class Exchange:
    """One question to a served model and its answer. Holds secrets: its repr shows none."""

    backdoor: int
    fresh: bool
    prompt: Prompt = field(repr=False)
    signature: str = field(repr=False)
    answer: str = field(repr=False)


def exchanges(part: Plan, known: Mapping[str, Any]) -> list[Exchange]:
    """Return the questions of a round that asked this part of a plan and the answers in what is
    `known` of it, by item."""
    return [
        Exchange(
            part.first + probe.backdoor,
            probe.fresh,
            probe.prompt,
            part.backdoors[probe.backdoor].signature,
            known[probe.item]["text"],
        )
        for probe in probes_of(part)
        if probe.item in known
    ]
