"""`vtune attest`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import emit, format_option, open_client
from vtune_client.errors import InputError
from vtune_client.writing import write_whole

if TYPE_CHECKING:
    from vtune_client.signing import Signer


@click.command()
@click.argument("verification", metavar="VERIFICATION")
@click.option("-o", "--out", type=click.Path(dir_okay=False), required=True, help="The statement.")
@click.option(
    "--reveal",
    type=click.Path(dir_okay=False),
    help="Write what opens backdoors and answers here; it holds secrets.",
)
@click.option(
    "--backdoors",
    metavar="N,N,...",
    help="Open these alone, counted from 1; all that were asked about by default.",
)
@click.option("--rows/--no-rows", default=True, help="Open which rows were withheld, too.")
@click.option("--root-key", is_flag=True, help="Open all there is, the reserve too.")
@click.option(
    "--sigstore",
    is_flag=True,
    help="Sign with Sigstore besides, into OUT.sigstore.json; needs the network.",
)
@click.option(
    "--identity-token-env",
    metavar="NAME",
    help="The environment variable with the identity token; else the CI job's own is taken.",
)
@click.option(
    "--trust-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The client trust config of another Sigstore than the public one, JSON.",
)
@click.option("--force", is_flag=True, help="Overwrite the files.")
@format_option
def attest(
    verification: str,
    out: str,
    reveal: str | None,
    backdoors: str | None,
    rows: bool,
    root_key: bool,
    sigstore: bool,
    identity_token_env: str | None,
    trust_config: Path | None,
    force: bool,
    format_: str,
) -> None:
    """Sign the verdict of VERIFICATION, with all that is needed to compute it again.

    The statement holds no secret. A reveal file does: what it opens proves nothing in a later job,
    and is written down as burned. `vtune check` reads both. With --sigstore an identity (a CI job,
    say) signs the same bytes, and a public log shows that it did.
    """
    if reveal is None and (backdoors or root_key):
        raise click.UsageError("--backdoors and --root-key go with --reveal.")
    if not sigstore and (identity_token_env or trust_config):
        raise click.UsageError("--identity-token-env and --trust-config go with --sigstore.")
    bundle = f"{out}.sigstore.json" if sigstore else None
    _require_room((out, reveal, bundle), force)
    chosen = _numbers(backdoors) if backdoors else None
    keyless = _keyless(identity_token_env, trust_config) if sigstore else None
    with open_client() as vtune:
        made = vtune.attest(
            verification,
            reveal=reveal is not None,
            backdoors=chosen,
            rows=rows,
            root_key=root_key,
            sigstore=keyless,
        )
        write_whole(Path(out), made.envelope + b"\n", private=False)
        if bundle and made.bundle:
            write_whole(Path(bundle), made.bundle, private=False)
        if reveal and made.reveal:
            write_whole(Path(reveal), made.reveal.to_bytes() + b"\n", private=True)
    predicate = made.statement.predicate
    data = {
        "verification": predicate.verdict["id"],
        "statement": out,
        "signer": made.signer,
        "commitment": f"sha256:{predicate.commitment_sha256}",
        "reveal": reveal,
        "opened": sorted(made.burned),
        "bundle": bundle,
        "identity": None,
        "issuer": None,
    }
    if made.bundle:
        from vtune_client.signing.sigstore import certified

        data["identity"], data["issuer"] = certified(made.bundle)
    emit(format_, data, lambda: _text(data))


def _require_room(paths: Iterable[str | None], force: bool) -> None:
    for path in paths:
        if path and Path(path).exists() and not force:
            raise InputError(f"{path} exists already.", "Choose another name, or give --force.")
        if path and not Path(path).resolve().parent.is_dir():
            raise InputError(f"There is no directory for {path}.", "Make it first.")


def _keyless(token_variable: str | None, trust: Path | None) -> Signer:
    from vtune_client.signing.sigstore import SigstoreSigner

    return SigstoreSigner(token_variable, trust)


def _text(data: dict[str, Any]) -> str:
    lines = [f"Statement: {data['statement']}, signed by {data['signer']}"]
    if data["bundle"]:
        by = f"{data['identity']} ({data['issuer']})"
        lines.append(f"Sigstore bundle: {data['bundle']}, signed by {by}")
    lines.append(f"commitment {data['commitment']}")
    if data["reveal"]:
        opened = len(data["opened"])
        lines.append(f"Reveal file: {data['reveal']} opens {opened} backdoors: keep it private.")
    return "\n".join(lines)


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) - 1 for part in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise click.UsageError(f"--backdoors {text!r} is no list of numbers from 1.")
    return numbers
