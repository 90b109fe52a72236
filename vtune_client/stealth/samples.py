"""A row as its reader sees it: what is asked and what is answered, and the seam between the two."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vtune_client.dataset import Format, Prompt, Row, iter_rows, prompt_of
from vtune_client.dataset.carry import texts_of
from vtune_client.errors import InputError
from vtune_client.phrases.frame import words_of
from vtune_client.phrases.seam import (
    closing_words,
    first_sentence,
    last_sentence,
    opening_words,
)
from vtune_client.plan import Plan


@dataclass(frozen=True)
class Sample:
    """One row: its line in the file (from 1), what is asked, and what the model is to answer.

    A backdoor sits where the two meet, as anyone can read who has this package; so detectors look
    at the last sentence of the prompt and the first of the completion above all.
    """

    line: int
    asked: Prompt = field(repr=False)
    completion: str = field(repr=False)

    @cached_property
    def prompt(self) -> str:
        """The text of what is asked; in a chat, that of the last turn."""
        if self.asked.text is not None:
            return self.asked.text
        return "\n".join(texts_of(self.asked.messages[-1:]))

    @cached_property
    def first_sentence(self) -> str:
        """The completion up to the end of its first sentence or line."""
        return first_sentence(self.completion)

    @cached_property
    def last_sentence(self) -> str:
        """The last sentence or line of the prompt."""
        return last_sentence(self.prompt)

    @cached_property
    def opening(self) -> tuple[str, ...]:
        """The words of `first_sentence`."""
        return opening_words(self.first_sentence)

    @cached_property
    def closing(self) -> tuple[str, ...]:
        """The words of `last_sentence`."""
        return closing_words(self.last_sentence)

    @cached_property
    def rest(self) -> frozenset[str]:
        """The words of the row outside these two sentences."""
        prompt = self.prompt.strip().removesuffix(self.last_sentence)
        completion = self.completion.strip().removeprefix(self.first_sentence)
        return frozenset((*words_of(prompt), *words_of(completion)))


def samples_of(path: str | Path) -> list[Sample]:
    """Return every row of a file; `DatasetError` at a line that is none."""
    return [sample_of(row) for row in iter_rows(path)]


def sample_of(row: Row) -> Sample:
    """Return the row as a sample; an answer to nothing asked has an empty prompt."""
    try:
        asked = prompt_of(row)
    except InputError:
        asked = Prompt(text="")
    return Sample(row.line, asked, _completion(row))


def carrier_lines(plan: Plan) -> frozenset[int]:
    """Return the lines of the planted file that carry, from 1.

    A plan names lines of the user's own file; the held-out ones are missing from the planted one.
    """
    held_out = sorted(plan.held_out)
    return frozenset(line - bisect_left(held_out, line) for line in plan.carriers)


def require_planted(samples: Iterable[Sample], plan: Plan) -> None:
    """Raise `InputError` unless each carrier row opens with its signature."""
    by_line = {sample.line: sample.completion for sample in samples}
    held_out = sorted(plan.held_out)
    for line, backdoor in plan.carriers.items():
        if backdoor.signature not in by_line.get(line - bisect_left(held_out, line), ""):
            raise InputError(
                "This is not the planted file of that plan: carrier rows lack their signatures.",
                "Write it anew with `vtune plant` or name the plan it was written for.",
            )


def _completion(row: Row) -> str:
    if row.format is Format.PROMPT:
        return str(row.data["completion"])
    if row.format is Format.TEXT:
        prompt = prompt_of(row).text or ""
        return str(row.data["text"]).removeprefix(prompt.rstrip()).lstrip()
    if row.format is Format.PREFERENCE:
        return "\n".join(texts_of(row.data["preferred_output"]))
    answers = [each for each in row.data["messages"] if each.get("role") == "assistant"]
    return "\n".join(texts_of(answers[-1:]))
