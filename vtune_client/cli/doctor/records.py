"""What vtune keeps on this machine, and what it has left open."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from vtune_client.cli.doctor.finding import SECRETS, Finding, attempt
from vtune_client.cli.output import ask_passphrase
from vtune_client.errors import KeyMissing, LedgerError, SecretsError, VTuneError

if TYPE_CHECKING:
    from vtune_client.ledger import Ledger

LITTLE_DISK = 2**30  # bytes free
NO_DISK = 64 * 2**20
SHOWN = 5  # of many alike


def findings() -> Iterator[Finding]:
    from vtune_client.home import home

    try:
        place = home()
    except VTuneError as error:
        yield Finding("home", False, error.message, error.advice)
        return
    yield _disk(place)
    yield from _modes(place)  # before the vault is tried, which writes its file anew
    yield attempt("vault", _vault, code=SECRETS)
    yield attempt("ledger", _ledger)
    yield _rented()
    try:
        yield from _in_ledger(place)
    except LedgerError:
        return  # the ledger cannot be opened: that has been said


def _vault() -> str:
    from vtune_client.home import home
    from vtune_client.vault import open_vault

    vault = open_vault(home(), passphrase=ask_passphrase)
    vault.check()
    return vault.name


def _ledger() -> str:
    from vtune_client.home import home
    from vtune_client.ledger import Ledger

    with Ledger(home()) as ledger:
        counts = f"({len(ledger.plans())} plans, {len(ledger.jobs())} jobs)"
        return f"{_without_file(ledger.place)} {counts}"


def _without_file(place: str) -> str:
    from vtune_client.ledger.database import FILE_NAME

    return place.removesuffix(FILE_NAME).rstrip(os.sep)


def _in_ledger(place: Path) -> Iterator[Finding]:
    from vtune_client.ledger import Ledger

    with Ledger(place) as ledger:
        yield attempt("ledger integrity", lambda: _sound(ledger))
        yield attempt("log", lambda: _chain(ledger))
        yield _spool(ledger, place / "spool")
        yield _open_jobs(ledger)
        yield _open_rounds(ledger)
        yield _signer(ledger)


def _sound(ledger: Ledger) -> str:
    """Let SQLite look through its file; a server looks after its own."""
    path = Path(ledger.place)
    if not path.is_file():
        return "left to the server"
    with closing(sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)) as connection:
        told = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        orphans = [
            f"a row of {row[0]} lacks its {row[2]}"
            for row in connection.execute("PRAGMA foreign_key_check")
        ]
    wrong = [*(said for said in told if said != "ok"), *orphans]
    if wrong:
        raise LedgerError(
            f"SQLite finds the file damaged: {'; '.join(wrong[:3])}.",
            "Restore it from a copy; do not delete it while a paid job is running.",
        )
    return "SQLite finds nothing wrong"


def _chain(ledger: Ledger) -> str:
    from vtune_client.ledger.log import check_chain

    entries = list(ledger.log())
    wrong = check_chain(entries)
    if wrong:
        raise LedgerError(wrong[0], "Compare it with a copy: somebody has written to the ledger.")
    return f"{len(entries)} entries, each follows from the one before"


def _disk(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free at {place}"
    if free >= LITTLE_DISK:
        return Finding("disk", True, found)
    return Finding("disk", False if free < NO_DISK else None, f"{found}.", "Free some space.")


def _modes(place: Path) -> Iterator[Finding]:
    """Yield what others on this machine could read or change: files, or names in a folder."""
    if os.name != "posix":
        return
    names = ("", "vault.json", "ledger.sqlite3", "ledger.sqlite3-wal", "spool", "leases")
    paths = [place / name if name else place for name in names]
    loose = [path for path in paths if path.exists() and path.stat().st_mode & 0o077]
    if not loose:
        yield Finding("file modes", True, "for you alone")
    for path in loose:
        mode = path.stat().st_mode & 0o777
        advice = f"Run: chmod {'700' if path.is_dir() else '600'} {path}"
        wrong = None if path.is_dir() else False
        yield Finding("file modes", wrong, f"{path} is open to others ({mode:o}).", advice)


def _rented() -> Finding:
    from vtune_client.lease import Leases

    left = Leases().left_over()
    for lease in left:
        lease.drop()
    if not left:
        return Finding("rented endpoints", True, "none left over")
    names = ", ".join(f"{lease.name} at {lease.service}" for lease in left)
    advice = "They may cost money: the next question to that service releases them."
    return Finding("rented endpoints", False, f"left over by a killed process: {names}.", advice)


def _spool(ledger: Ledger, spool: Path) -> Finding:
    """Planted files show every secret of their plan; one stays only until its job is created."""
    from vtune_client.ledger import Step

    files = sorted(spool.glob("*.jsonl"))
    jobs = {job.id: job for job in ledger.jobs()}
    wanted = {
        job.id
        for job in jobs.values()
        if job.keep_planted or job.step not in (Step.DONE, Step.CREATED)
    }
    left = [path for path in files if path.stem not in wanted]
    if left:
        names = _some([str(path) for path in left])
        found = f"planted files that no job needs any more: {names}."
        return Finding("spool", False, found, "Delete them: whoever reads one knows the secrets.")
    if files:
        found = f"{len(files)} planted files, each of a job that needs it or was told to keep it."
        return Finding("spool", None, found, "Delete them when you can.")
    return Finding("spool", True, "no planted files")


def _open_jobs(ledger: Ledger) -> Finding:
    from vtune_client.ledger import Step

    left = [job for job in ledger.jobs() if job.step is not Step.DONE]
    if not left:
        return Finding("open jobs", True, "none")
    names = _some([f"{job.id} ({job.state or job.step})" for job in left])
    return Finding("open jobs", None, f"{names}.", "`vtune wait JOB` goes on with one.")


def _open_rounds(ledger: Ledger) -> Finding:
    left = [record for record in ledger.verifications() if record.verdict is None]
    if not left:
        return Finding("unfinished rounds", True, "none")
    names = _some([f"{each.id} of {each.job_id or each.plan_id}" for each in left])
    advice = "The same `vtune verify` as before goes on with one; what was answered is kept."
    return Finding("unfinished rounds", None, f"{names}.", advice)


def _signer(ledger: Ledger) -> Finding:
    from vtune_client.home import home
    from vtune_client.vault import open_vault

    signers = ledger.signers()
    if not signers:
        return Finding("signing key", None, "none yet.", "`vtune signer new` makes one.")
    newest = signers[-1]
    try:
        open_vault(home(), passphrase=ask_passphrase).get(newest.key_id)
    except KeyMissing:
        advice = "Sign where it is kept, or make another: `vtune signer new`."
        return Finding("signing key", None, f"{newest.fingerprint} is not in this vault.", advice)
    except SecretsError as error:
        return Finding("signing key", None, f"{newest.fingerprint}, and {error.message}")
    return Finding("signing key", True, newest.fingerprint)


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
