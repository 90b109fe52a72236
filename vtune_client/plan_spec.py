"""What may be chosen about a plan; all of it is public."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

from vtune_client.errors import InputError

LEAST = {
    "backdoors": 1,
    "dose": 1,
    "frames": 1,
    "trigger_frames": 1,
    "held_out": 0,
    "decoys": 0,
    "shards": 0,
    "per_shard": 1,
}


@dataclass(frozen=True)
class PlanSpec:
    """What may be chosen about a plan; all of it is public.

    Every backdoor has `dose` carriers, or backdoor i has `doses[i]`: a ladder, from which
    `backdoors` and `dose`, the largest, then follow. The first `per_shard` backdoors are kept
    inside the first of `shards` equal stretches of the file, the next inside the second, and so on;
    the others are spread over the whole file.

    `fresh_prompts` and `own_prompts` are asked per backdoor: prompts of rows that carry nothing,
    and of its own carrier rows. `decoys` are scored beside each signature where scores exist.
    """

    backdoors: int = 5
    dose: int = 4
    frames: int = 1
    trigger_frames: int = 1
    held_out: int = 0
    own_prompts: int = 1
    fresh_prompts: int = 3
    decoys: int = 100
    alpha: float = 1e-6
    doses: tuple[int, ...] | None = None
    shards: int = 0
    per_shard: int = 1

    def __post_init__(self) -> None:
        if self.doses is not None:
            self._follow(self.doses)
        for name, bound in LEAST.items():
            if getattr(self, name) < bound:
                raise InputError(f"{name} is at least {bound}.", "Choose a larger number.")
        if min(self.own_prompts, self.fresh_prompts) < 0 or self.prompts < 1:
            raise InputError("At least one prompt is asked per backdoor.", "Ask one or more.")
        if self.own_prompts > min(self.ladder):
            raise InputError(
                "A backdoor has only as many prompts of its own as carrier rows.",
                "Raise the dose or ask fewer own prompts.",
            )
        if not 0 < self.alpha < 1:
            raise InputError("alpha lies between 0 and 1.", "Choose for instance 1e-6.")
        self._check_shards()

    def _follow(self, doses: tuple[int, ...]) -> None:
        """Let `backdoors` and `dose` follow from a ladder."""
        if min(doses, default=0) < 1:
            raise InputError("A ladder has doses of at least 1.", "Write for instance 12,6,3,2,1.")
        defaults = {each.name: each.default for each in fields(self)}
        for name, value in {"backdoors": len(doses), "dose": max(doses)}.items():
            if getattr(self, name) not in (value, defaults[name]):
                raise InputError(
                    f"The ladder of doses says {value} for {name}, and another is given.",
                    "Give the ladder alone.",
                )
            object.__setattr__(self, name, value)

    def _check_shards(self) -> None:
        if self.kept > self.backdoors:
            raise InputError(
                f"{self.shards} shards need {self.kept} backdoors, and there are {self.backdoors}.",
                "Choose fewer shards or more backdoors.",
            )
        if len(Counter(self.ladder[: self.kept])) > 1:
            raise InputError(
                "Backdoors kept inside shards have different doses, so shards are not comparable.",
                f"Start the ladder with {self.kept} equal doses.",
            )

    @property
    def ladder(self) -> tuple[int, ...]:
        """The dose of each backdoor."""
        return self.doses if self.doses is not None else (self.dose,) * self.backdoors

    @property
    def kept(self) -> int:
        """How many backdoors, the first ones, are kept inside a shard."""
        return self.shards * self.per_shard

    @property
    def carriers(self) -> int:
        return sum(self.ladder)

    @property
    def prompts(self) -> int:
        """Prompts asked per backdoor."""
        return self.own_prompts + self.fresh_prompts
