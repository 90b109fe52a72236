"""What may be chosen about a plan; all of it is public."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any

from vtune_client.errors import InputError
from vtune_client.recommend import recommended

MOST_WITH_ALL_DECOYS, DECOYS_OF_MANY = 10, 39
JOINS = ("line", "space", "auto")
LEAST = {
    "backdoors": 1,
    "dose": 1,
    "frames": 1,
    "trigger_frames": 1,
    "held_out": 0,
    "decoys": 0,
    "shards": 0,
    "per_shard": 1,
    "reserve": 0,
}


@dataclass(frozen=True)
class PlanSpec:
    """What may be chosen about a plan; all of it is public.

    Every backdoor has `dose` carriers, or backdoor i has `doses[i]`: a ladder, from which
    `backdoors` and `dose`, the largest, then follow. The first `per_shard` backdoors are kept
    inside the first of `shards` equal stretches of the file, the next inside the second, and so on;
    the others are spread over the whole file. Or `by_rows`: what is recommended for a file of so
    many rows (`recommend`) takes the place of all these.

    `reserve` backdoors of dose `dose` are planted besides and asked in no verification: they are
    for a re-audit, when the others have been shown to somebody.

    `fresh_prompts` and `own_prompts` are asked per backdoor: prompts of rows that carry nothing,
    and of its own carrier rows. `decoys` are scored beside each signature where scores exist.

    What makes carriers harder to find, at a price (`stealthy` puts together what pays):

    - `choose_frames` uses the eighth of the frames that stands out least in the file, or as many
      as are wanted;
    - `choose_rows` deals carriers over the three quarters of the rows whose lengths stand out least
      once they carry. Answers then tell of these rows alone, so bounds on the share of the file
      are weaker; and measured it hides little: hence neither a default nor in `stealthy`;
    - `join` puts a "line" break or a "space" between a signature and the answer; "auto" a space
      where few answers of the file have a line break after their first sentence;
    - `usual_words` keeps words that at least 1 % of the rows use as candidates, and prefers them;
    - `own_phrases` makes frames and candidates of the file's own sentences; `frames` and
      `trigger_frames` are then the most that are used. What has no sentences takes the source's.
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
    choose_frames: bool = False
    choose_rows: bool = False
    join: str = "line"
    usual_words: bool = False
    own_phrases: bool = False
    by_rows: bool = False
    reserve: int = 0

    def for_rows(self, rows: int) -> PlanSpec:
        """Return the spec for a file of so many rows: this one, unless it goes `by_rows`.

        Many backdoors are each ranked among fewer decoys: what is scored grows with both."""
        if not self.by_rows:
            return self
        ladder = recommended(rows, self.reserve)
        few = len(ladder) <= MOST_WITH_ALL_DECOYS
        return replace(
            self,
            by_rows=False,
            doses=ladder,
            decoys=self.decoys if few else min(self.decoys, DECOYS_OF_MANY),
        )

    @classmethod
    def stealthy(cls, **chosen: Any) -> PlanSpec:
        """Return a spec whose carriers are as hard to find as they can be made.

        20 backdoors of one carrier each, with a frame for every one, made of the file's own
        sentences and words and joined to the answers as these break lines. The price: about half
        the bits of a built-in signature, and only a model that learns from a single row says them;
        others show them in the ranks alone, so it wants an endpoint that gives scores. What is
        `chosen` otherwise stays so.
        """
        spec = chosen if chosen.get("doses") else {"backdoors": 20, "dose": 1, **chosen}
        count = len(spec["doses"]) if spec.get("doses") else spec["backdoors"]
        count += spec.get("reserve", 0)
        stealth = {
            "frames": count,
            "trigger_frames": count,
            "choose_frames": True,
            "join": "auto",
            "own_phrases": True,
        }
        return cls(**{**stealth, **spec})

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
        if self.join not in JOINS:
            raise InputError(
                f"A signature cannot be joined by {self.join!r}.", f"Choose {', '.join(JOINS)}."
            )
        self._check_shards()
        if self.by_rows and (self.doses or self.shards):
            raise InputError(
                "Doses or shards are chosen, and by_rows would choose them.", "Leave out one."
            )

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
        if self.shards and self.choose_rows:
            raise InputError(
                "Shards are stretches of the whole file, and carriers are to stand in chosen rows.",
                "Choose shards or rows, not both.",
            )
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
        """The dose of each backdoor, those of the reserve last."""
        asked = self.doses if self.doses is not None else (self.dose,) * self.backdoors
        return asked + (self.dose,) * self.reserve

    @property
    def looks(self) -> bool:
        """Whether rows of the file are looked at for what stands out among them."""
        return self.choose_frames or self.choose_rows or self.own_phrases or self.join == "auto"

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
