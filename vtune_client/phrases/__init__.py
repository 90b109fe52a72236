"""Triggers and signatures of exactly known entropy.

A source (`builtin`, `asked`) proposes a public `PhraseBook`; `vet` removes what must not be in it;
`pick` draws the secrets from the root key; `read` finds what an answer put into each slot.
"""

from __future__ import annotations

from vtune_client.phrases.builtin import BuiltinSource
from vtune_client.phrases.frame import Frame, Slot
from vtune_client.phrases.interface import Brief, PhraseBook, PhraseSource

__all__ = ["Brief", "BuiltinSource", "Frame", "PhraseBook", "PhraseSource", "Slot"]
