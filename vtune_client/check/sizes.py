"""Whether counts are such as a plan can have, before anything is done as often as they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vtune_client.attestation import Predicate
from vtune_client.check.findings import Finding, refuted
from vtune_client.check.openings import spec_of

MOST = 100_000  # decoys of a signature
MOST_PROMPTS = 1_000  # asked about a backdoor


def check_sizes(stated: Predicate) -> Iterator[Finding]:
    """Refute a statement that would take forever to check; of any other say nothing."""
    document, spec = stated.commitment, stated.commitment["spec"]
    asked = len(spec["doses"]) if spec["doses"] else spec["backdoors"]
    tests = {test["name"]: test for test in stated.verdict["tests"]}
    prompts = [each["prompts"] for each in tests["anytime"]["stakes"]]
    prompts += tests["slots"]["answers"] if "slots" in tests else []
    prompts += [spec["own_prompts"], spec["fresh_prompts"]]
    fits = (
        _within(spec["reserve"], len(stated.leaves))
        and _within(asked, len(stated.leaves))
        and document["backdoors"] == asked + spec["reserve"] == len(stated.leaves) - 2
        and document["reserve"] == spec["reserve"]
        and spec_of(document).backdoors == asked
        and all(_within(count, MOST_PROMPTS) for count in prompts)
        and _within(spec["decoys"], MOST)
    )
    if not fits:
        yield refuted(
            "the sizes",
            "Backdoors, prompts or decoys are of numbers that no plan has.",
        )


def _within(count: Any, most: int) -> bool:
    return type(count) is int and 0 <= count <= most
