"""Which vendors are run against which setting, and what is assumed of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.gauntlet.base import Published
from benchmarks.gauntlet.drill import AGAIN, Setting
from vtune_client.plan import PlanSpec

HONEST = "honest"
ALL = (
    HONEST,
    AGAIN,
    "base-model",
    "other-data",
    "share=0.8",
    "share=0.5",
    "share=0.3",
    "share=0.1",
    "head=0.5",
    "drop-shard=2/5",
    "epochs=8",
    "epochs=4",
    "epochs=2",
    "tiny-rate",
    "backdoors-only=1",
    "backdoors-only=3",
    "filter-perplexity",
    "filter-ngrams",
    "filter-clusters",
    "filter-frames",
    "noise=0.1",
    "noise=0.5",
    "quantised",
    "further-tuning",
    "lookup",
    "system-prompt",
    "temperature=1",
    "refuse-long=16",
)
PARTS = (
    HONEST,
    AGAIN,
    "share=0.8",
    "share=0.5",
    "share=0.3",
    "drop-shard=2/4",
    "epochs=4",
    "backdoors-only=1",
)
SMOLLM2 = (
    HONEST,
    "base-model",
    "other-data",
    "share=0.5",
    "epochs=1",
    "backdoors-only=1",
    "lookup",
    "further-tuning",
)
VENDORS = tuple(dict.fromkeys((*ALL, *PARTS, *SMOLLM2)))  # in the order of the tables


class Assumed(StrEnum):
    """Which end of an interval for the share is promised to hold against a vendor: each supposes
    that rows were used without regard to which of them carry, the upper one also that the training
    was the control's."""

    BOTH = "both ends"
    LOWER = "lower end alone"
    NONE = "neither"


OTHER_TRAINING = (
    "epochs",
    "tiny-rate",
    "noise",
    "quantised",
    "further-tuning",
    "system-prompt",
    "temperature",
    "refuse-long",
)
LOOK_FOR_CARRIERS = ("backdoors-only", "lookup")


def assumed_of(vendor: str) -> Assumed:
    """Return what the interval for the share promises against this vendor."""
    kind = vendor.partition("=")[0]
    if kind in LOOK_FOR_CARRIERS or kind.startswith("filter-"):
        return Assumed.NONE
    return Assumed.LOWER if kind in OTHER_TRAINING else Assumed.BOTH


@dataclass(frozen=True)
class Series:
    """One table: these vendors against files of one setting. `most` bounds the number of files."""

    name: str
    title: str
    setting: Setting
    vendors: tuple[str, ...]
    most: int | None = None

    def wanted(self, seeds: int, only: tuple[str, ...] = ()) -> list[tuple[str, int]]:
        """Return the cells to be run; with `only`, those of such vendors and of the honest one."""
        some = [name for name in only if name in self.vendors or self.most is None]
        chosen = dict.fromkeys((HONEST, *some)) if some else () if only else self.vendors
        files = min(seeds, self.most) if self.most else seeds
        return [(vendor, seed) for vendor in chosen for seed in range(files)]


def small() -> tuple[Series, ...]:
    """Return the gauntlet on the small base: all vendors against the default plan, and those that
    use a part of the file against many backdoors, most of them carried once.

    A small model does not say what it read once; it ranks it high, and that is what the dose-1
    backdoors are for. Those of dose 4 each lie in one quarter of the file.
    """
    many = Setting(
        rows=460,
        plan=PlanSpec(
            doses=(4,) * 4 + (1,) * 20, shards=4, held_out=60, fresh_prompts=1, decoys=59
        ),
        epochs=8,
    )
    return (
        Series("default", "The default plan", Setting(), ALL),
        Series("many", "Twenty-four backdoors, twenty of them carried once", many, PARTS, most=3),
    )


def smollm2() -> tuple[Series, ...]:
    """Return the gauntlet on the embedded model, with the recipe of `vtune demo`."""
    options = {"method": "lora", "dtype": "bf16", "layers": "top-half"}
    setting = Setting(
        rows=180,
        plan=PlanSpec(backdoors=5, dose=4, held_out=30, decoys=30),
        epochs=3,
        batch_size=2,
        base=Published("smollm2-135m-instruct", options, longest=44),
    )
    return (Series("smollm2", "The embedded model", setting, SMOLLM2),)


MODELS: dict[str, Callable[[], tuple[Series, ...]]] = {"small": small, "smollm2": smollm2}
