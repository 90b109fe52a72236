"""Proof that a fine-tuning vendor really trained on your file.

After vTune (Zhang, Pal, Potti, Goldblum 2024, arXiv 2411.06611).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vtune_client.version import __version__

if TYPE_CHECKING:
    from vtune_client.client import AsyncVTune, VTune
    from vtune_client.errors import VTuneError
    from vtune_client.ledger import Job
    from vtune_client.plan import PlanSpec
    from vtune_client.provider import JobSpec
    from vtune_client.verdict import Outcome, Verdict
    from vtune_client.verify import Verification

__all__ = [
    "AsyncVTune",
    "Job",
    "JobSpec",
    "Outcome",
    "PlanSpec",
    "VTune",
    "VTuneError",
    "Verdict",
    "Verification",
    "__version__",
]

_HOME = {
    "AsyncVTune": "client",
    "VTune": "client",
    "VTuneError": "errors",
    "Job": "ledger",
    "PlanSpec": "plan",
    "JobSpec": "provider",
    "Outcome": "verdict",
    "Verdict": "verdict",
    "Verification": "verify",
}


def __getattr__(name: str) -> Any:
    """Load public names when they are first used: importing the package stays cheap."""
    if name in _HOME:
        return getattr(import_module(f"vtune_client.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
