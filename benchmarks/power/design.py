"""How many backdoors of which dose, written as 20x1 or 5x4+20x1."""

from __future__ import annotations

from dataclasses import dataclass

from vtune_client.plan import PlanSpec

CONFIDENCE = 0.95
ALPHA = 1e-6


@dataclass(frozen=True)
class Design:
    """`groups` of (backdoors, dose), the doses all different."""

    groups: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, text: str) -> Design:
        """Raises `ValueError` for anything but 20x1 or 5x4+20x1 with different doses."""
        pairs = [group.split("x") for group in text.split("+")]
        groups = tuple((int(backdoors), int(dose)) for backdoors, dose in pairs)
        if min(min(group) for group in groups) < 1:
            raise ValueError("a design has backdoors, and each of them carriers")
        if len({dose for _, dose in groups}) != len(groups):
            raise ValueError("a design names each dose once")
        return cls(groups)

    def __str__(self) -> str:
        return "+".join(f"{backdoors}x{dose}" for backdoors, dose in self.groups)

    @property
    def doses(self) -> tuple[int, ...]:
        """The dose of each backdoor."""
        return tuple(dose for backdoors, dose in self.groups for _ in range(backdoors))

    @property
    def carriers(self) -> int:
        return sum(self.doses)

    @property
    def plan(self) -> PlanSpec:
        """Two prompts a backdoor, and fewer decoys than usual: it is asked often."""
        one = len(self.groups) == 1
        backdoors, dose = self.groups[0]
        return PlanSpec(
            backdoors=backdoors if one else len(self.doses),
            dose=dose if one else max(self.doses),
            doses=None if one else self.doses,
            own_prompts=1,
            fresh_prompts=1,
            decoys=39,
            alpha=ALPHA,
        )
