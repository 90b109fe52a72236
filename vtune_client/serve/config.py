"""What the service is started with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vtune_client.errors import InputError
from vtune_client.serve.faults import Fault
from vtune_client.serve.vendor import parse_vendor

MIB = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


@dataclass(frozen=True)
class ServeConfig:
    """`bases`: name -> what the provider takes (a directory, a hub id); only these are trained on.

    `recipe` holds training options where a job says nothing, `connection` the provider's keywords.
    Without `keys` everybody is let in. `kept` is how many models stay ready to answer. `vendor` is
    NAME[=VALUE], `vendor_lines` the lines of an upload (from 1) that it is told to carry."""

    home: Path
    bases: Mapping[str, str]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = field(default=(), repr=False)
    provider: str = "local"
    connection: Mapping[str, Any] = field(default_factory=dict, repr=False)
    vendor: str = "honest"
    vendor_lines: tuple[int, ...] = field(default=(), repr=False)
    faults: tuple[Fault, ...] = ()
    max_bytes: int = 512 * MIB
    organization: str = "vtune"
    kept: int = 2

    def __post_init__(self) -> None:
        if not self.bases:
            raise InputError("No base model is named.", "Name one with --base NAME=DIRECTORY.")
        for name in self.bases:
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"{name!r} is no name for a base.",
                    "Use letters, digits, dots, dashes and underscores, and at most one slash.",
                )
        parse_vendor(self.vendor, self.vendor_lines)
        if any(not key.strip() or not key.isascii() for key in self.keys):
            raise InputError("A key is empty or not plain ASCII.", "Choose another key.")
