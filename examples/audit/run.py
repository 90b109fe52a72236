"""Audit three vendors by one file: one is honest, one trains on half of the rows, one on none.

    python examples/audit/run.py

All of them are `vtune serve` on this machine, as is our own honest run, the control. The audit is
done twice: the second time nothing is due, so nothing is trained and nobody is asked. What is made
lies in --out: the rows, the ledger, and under out/ the summary as HTML, JUnit XML and Markdown. On
two cores the embedded model takes about eight minutes; --base names a directory of a smaller one.
With VTUNE_VAULT_PASSPHRASE set, the vault can be opened afterwards, to `vtune attest` a verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from vtune_client.demo.data import write_demo_rows

VTUNE = [sys.executable, "-c", "from vtune_client.cli import main; main()"]
VENDORS = {"OURS": "honest", "ACME": "honest", "BULK": "share=0.5", "CHEAP": "base-model"}
RECIPE = ("epochs=8", "batch_size=4", "learning_rate=3e-3")


@contextmanager
def service(folder: Path, vendor: str, base: str, recipe: Sequence[str]) -> Iterator[str]:
    """Serve fine-tuning as that vendor does it; yield the address of its API."""
    named = ("--home", str(folder), "--vendor", vendor, "--base", f"base={base}")
    options = [part for option in recipe for part in ("--option", option)]
    process = subprocess.Popen(  # noqa: S603
        [*VTUNE, "serve", "--port", "0", "--format", "json", *named, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            if not said:
                raise SystemExit(f"the service of {vendor} did not start")
            yield json.loads(said)["openai"]
        finally:
            process.terminate()


def jobs_at(addresses: Sequence[str]) -> int:
    """Return how many jobs all these services were ever given."""
    found = 0
    for address in addresses:
        found += len(httpx.get(f"{address}/fine_tuning/jobs?limit=100").json()["data"])
    return found


def vtune(*arguments: str) -> int:
    """Run one command to its end; return its exit code."""
    return subprocess.run([*VTUNE, *arguments], stdin=subprocess.DEVNULL).returncode  # noqa: S603


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Audit three vendors on this machine.")
    parser.add_argument("--out", type=Path, default=Path("audit"), help="a new folder")
    parser.add_argument("--rows", type=Path, help="what to train on; by default 100 rows are made")
    parser.add_argument("--base", default="smollm2-135m-instruct", help="model all of them train")
    parser.add_argument("--option", action="append", help="of the recipe, NAME=VALUE")
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("audits.toml"), given.out)
    if given.rows:
        shutil.copy(given.rows, given.out / "rows.jsonl")
    else:
        write_demo_rows(given.out / "rows.jsonl", 100)
    # A home and a vault for this audit alone; name the passphrase to open them again later.
    os.environ |= {"VTUNE_HOME": str(given.out / "home"), "VTUNE_VAULT": "file"}
    os.environ.setdefault("VTUNE_VAULT_PASSPHRASE", secrets.token_urlsafe(16))
    os.environ.setdefault("VTUNE_API_KEY", "none")
    vtune("vault", "init", "--file")
    with ExitStack() as stack:
        for name, vendor in VENDORS.items():
            home = given.out / f"at-{name.lower()}"
            serving = service(home, vendor, given.base, given.option or RECIPE)
            os.environ[f"{name}_URL"] = stack.enter_context(serving)
        addresses = [os.environ[f"{name}_URL"] for name in VENDORS]
        command = ("audit", str(given.out / "audits.toml"), "--watch")
        code = vtune(*command)
        once = jobs_at(addresses)
        again = vtune(*command)
        twice = jobs_at(addresses)
    print(f"exit code {code}, and {again} when run again; {once} jobs, and {twice} when run again")
    print(f"see {given.out / 'out' / 'audit.html'}")
    return code if (code, once) == (again, twice) else 70


if __name__ == "__main__":
    sys.exit(main())
