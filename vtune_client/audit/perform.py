"""The whole of `vtune audit`: do what is due, say how it stands, tell those who want to know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from vtune_client.audit.audit import Audit
from vtune_client.audit.hooks import tell_hooks
from vtune_client.audit.pages import write_outputs
from vtune_client.audit.runner import OnProgress, Runner, silent
from vtune_client.audit.summary import summarise
from vtune_client.client import AsyncVTune
from vtune_client.errors import LedgerError
from vtune_client.home import home as default_home
from vtune_client.patience import Patience
from vtune_client.vault import Vault


async def run_audit(
    audit: Audit,
    *,
    only: Sequence[str] = (),
    retry: bool = False,
    timeout_s: float | None = None,
    tell: OnProgress = silent,
    home: Path | None = None,
    vault: Vault | None = None,
    passphrase: Callable[[], str] | None = None,
    patience: Patience | None = None,
) -> dict[str, Any]:
    """Do what is due of the checks, all or those named; write what the audit's file wants written;
    return the summary (`vtune.audit/1`), whose `exit_code` a shell is to be told.

    `retry` starts checks anew whose job failed, `timeout_s` is how long a job is waited for (it is
    left running, and a later call goes on), `tell` hears how each check goes. `LedgerError` where
    another process is at work on the same audit, `InputError` for a check that there is not."""
    home = home or default_home()
    names = [audit.check(name).name for name in only] or [check.name for check in audit.checks]
    with _alone(home, audit):
        async with AsyncVTune(
            home=home, vault=vault, passphrase=passphrase, patience=patience
        ) as vtune:
            release = vtune.ledger.claim(f"audit {audit.name}")
            if release is None:
                raise _busy(audit)
            try:
                runner = Runner(vtune, audit, tell=tell, retry=retry, timeout_s=timeout_s)
                troubles = await runner.run(names)
            finally:
                release()
            summary = summarise(vtune.ledger, audit, troubles, only)
            await tell_hooks(audit, vtune.ledger, summary)
            write_outputs(audit.outputs, vtune.ledger, summary)
    return summary


def _alone(home: Path, audit: Audit) -> AcquireReturnProxy:
    """Return the lock of this audit, held: two processes would pay twice."""
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256(audit.name.encode()).hexdigest()[:16]
    try:
        return FileLock(folder / f"audit-{digest}.lock").acquire(blocking=False)
    except Timeout:
        raise _busy(audit) from None


def _busy(audit: Audit) -> LedgerError:
    return LedgerError(
        f"Another process is at work on the audit {audit.name}.",
        "Wait for it; then the same command goes on.",
    )
