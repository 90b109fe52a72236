"""What the numbers of a benchmark were made with."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version

PACKAGES = ("vtune-client", "torch", "transformers")


def machine(unit: str = "a cell", packages: Sequence[str] = PACKAGES) -> str:
    """Return Python, system and versions; each `unit` of the benchmark has one thread."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, one "
        f"thread {unit}; {versions}"
    )
