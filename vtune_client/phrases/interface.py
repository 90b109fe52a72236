"""Where triggers and signatures come from: a source proposes, the root key alone picks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from vtune_client.phrases.frame import Frame


@dataclass(frozen=True)
class Brief:
    """What a source may look at: a few of the user's own prompts and completions."""

    prompts: tuple[str, ...] = field(default=(), repr=False)
    completions: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class PhraseBook:
    """Public material: frames with their candidate lists. No secret is in it."""

    triggers: tuple[Frame, ...]
    signatures: tuple[Frame, ...]


class PhraseSource(Protocol):
    """Proposes frames and candidates in the register of the user's data."""

    name: str

    def propose(self, brief: Brief) -> PhraseBook: ...
