"""`vtune log` and `vtune log export`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import emit, format_option
from vtune_client.errors import InputError, LedgerError

if TYPE_CHECKING:
    from vtune_client.ledger import Ledger, LogEntry

SHOWN = 16  # hex digits of a digest, in text


@click.group(invoke_without_command=True)
@click.option("--since", metavar="ENTRY|DATE", help="Show what came after this entry or date.")
@click.option("--verify", is_flag=True, help="Check the whole chain instead of showing it.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False),
    help="Read an exported log instead of the ledger's.",
)
@format_option
@click.pass_context
def log(
    context: click.Context, since: str | None, verify: bool, file: str | None, format_: str
) -> None:
    """Show who did what when; or check that nothing of it was changed.

    Each entry holds the digest of the one before it. With --verify, exit code 0 says that the
    chain holds, 2 names the first entry where it does not. That its end was not cut off shows only
    against its last digest, kept elsewhere.
    """
    if context.invoked_subcommand:
        return
    entries = list(read_exported(Path(file)) if file else _kept())
    if verify:
        _show_checked(entries, format_)
    else:
        _show(_after(entries, since), format_)


@log.command()
@click.argument("file", type=click.Path(dir_okay=False))
@format_option
def export(file: str, format_: str) -> None:
    """Write the whole log to FILE, one entry as JSON to a line."""
    from vtune_client.ledger.log import to_json
    from vtune_client.writing import write_whole

    with _ledger() as ledger:
        entries = list(ledger.log())
        lines = [json.dumps(to_json(entry), ensure_ascii=False) + "\n" for entry in entries]
        write_whole(Path(file), "".join(lines).encode(), private=False)
        last = entries[-1].digest
        ledger.record("log exported", "ledger", {"entries": len(entries), "last": last})
    data = {"file": file, "entries": len(entries), "last": last}
    emit(format_, data, lambda: f"{file}: {len(entries)} entries, the last sha256:{last}")


def _ledger() -> Ledger:
    from vtune_client.home import home
    from vtune_client.ledger import Ledger

    return Ledger(home())


def _kept() -> Iterator[LogEntry]:
    with _ledger() as ledger:
        yield from ledger.log()


def read_exported(path: Path) -> Iterator[LogEntry]:
    """Yield the entries of a file that `vtune log export` has written."""
    from vtune_client.attestation import read_json
    from vtune_client.ledger.log import from_json

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Name the file.") from error
    for number, line in enumerate(content.splitlines(), 1):
        try:
            yield from_json(read_json(line, "The line"))
        except InputError:
            raise InputError(
                f"{path}:{number} is no entry of a log.",
                "Give a file that `vtune log export` has written.",
            ) from None


def _after(entries: list[LogEntry], since: str | None) -> list[LogEntry]:
    if since is None:
        return entries
    if since.isdecimal():
        return [entry for entry in entries if entry.seq > int(since)]
    try:
        begin = datetime.fromisoformat(since)
    except ValueError:
        raise InputError(
            f"{since!r} is no entry and no date.", "Give a number, or a date as 2026-01-31."
        ) from None
    at = (begin if begin.tzinfo else begin.replace(tzinfo=UTC)).timestamp()
    return [entry for entry in entries if entry.at >= at]


def _show(entries: list[LogEntry], format_: str) -> None:
    from vtune_client.ledger.log import iso, to_json

    def line(entry: LogEntry) -> str:
        at = iso(entry.at)[:19].replace("T", " ")
        told = " ".join(f"{name}={_short(value)}" for name, value in entry.data.items())
        parts = (f"{entry.seq:>5}", f"{at}Z", entry.actor, entry.action, entry.subject, told)
        return "  ".join(filter(None, parts))

    emit(format_, [to_json(entry) for entry in entries], lambda: "\n".join(map(line, entries)))


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}..."


def _show_checked(entries: list[LogEntry], format_: str) -> None:
    from vtune_client.ledger.log import check_chain

    wrong = check_chain(entries)
    if not entries:
        wrong = ["The log is empty, and no ledger's is."]
    if wrong:
        raise LedgerError(
            wrong[0], "Compare the ledger with a copy: from there on the log proves nothing."
        )
    last = entries[-1].digest
    data = {"holds": True, "entries": len(entries), "last": last}
    emit(format_, data, lambda: f"The chain of {len(entries)} entries holds: sha256:{last}")
