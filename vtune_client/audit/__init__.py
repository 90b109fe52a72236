"""Audits as code: many jobs and vendors, checked by one file and one command.

    audit = load_audit("audits.toml")
    summary = await run_audit(audit)

Policies are objects, too: `max_p_value(1e-6) & min_share(0.8)`, see `policy`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtune_client.audit.audit import Audit, Check
    from vtune_client.audit.load import load_audit
    from vtune_client.audit.perform import run_audit
    from vtune_client.audit.policy import Case, Policy, Ruling

__all__ = ["Audit", "Case", "Check", "Policy", "Ruling", "load_audit", "run_audit"]

_HOME = {
    "Audit": "audit",
    "Case": "policy",
    "Check": "audit",
    "Policy": "policy",
    "Ruling": "policy",
    "load_audit": "load",
    "run_audit": "perform",
}


def __getattr__(name: str) -> Any:
    """Load public names when they are first used: importing the package stays cheap."""
    if name in _HOME:
        return getattr(import_module(f"vtune_client.audit.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
