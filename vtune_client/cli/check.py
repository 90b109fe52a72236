"""`vtune check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.log import read_exported
from vtune_client.cli.output import emit, format_option
from vtune_client.errors import InputError

if TYPE_CHECKING:
    from vtune_client.attestation import Statement
    from vtune_client.check import Bundle, Checked

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
BUNDLE = ("bundle", "identity", "issuer", "trusted_root")
STYLES = {"confirmed": "green", "refuted": "bold red", "open": "yellow"}


@click.command()
@click.argument("statement", type=FILE)
@click.option("--reveal", type=FILE, help="The reveal file: computes counts from answers.")
@click.option("--file", "source", type=FILE, help="The user's own training file.")
@click.option("--planted", type=FILE, help="The file that was uploaded.")
@click.option("--control", type=FILE, help="The signed statement of the control.")
@click.option("--log", type=FILE, help="The auditor's whole log (`vtune log export`).")
@click.option("--key", "keys", type=FILE, multiple=True, help="The auditor's public key, PEM.")
@click.option("--commitment", metavar="sha256:HEX", help="The digest that was given before.")
@click.option("--roots", type=FILE, help="Roots of timestamping authorities to trust, PEM or DER.")
@click.option("--witness-log", type=FILE, help="The log of the witness.")
@click.option("--bundle", type=FILE, help="The Sigstore bundle over the same statement.")
@click.option("--identity", metavar="WHO", help="Who signed the bundle: an e-mail address or URL.")
@click.option("--issuer", metavar="URL", help="Who vouches for that identity.")
@click.option(
    "--trusted-root", type=FILE, help="Sigstore's trusted root, JSON; else this machine's."
)
@format_option
def check(statement: Path, format_: str, **given: Any) -> int:
    """Check a signed STATEMENT: recompute every number, say what holds and what cannot be told.

    Needs no ledger, no keyring and no network. Exit code 0 if nothing is refuted, 1 if something
    is.
    """
    from vtune_client.check import check_envelope

    trusted, beside = _trusted(given), _beside(given)
    found, checked = check_envelope(_bytes(statement), trusted, beside)
    emit(format_, _data(found, checked), lambda: _text(found, checked))
    return 0 if checked.holds else 1


def _trusted(given: dict[str, Any]) -> Any:
    from vtune_client.check import Trusted
    from vtune_client.signing import fingerprint, from_pem
    from vtune_client.witness import read_roots

    return Trusted(
        signers=tuple(fingerprint(from_pem(_bytes(path))) for path in given["keys"]),
        commitment=given["commitment"],
        roots=read_roots(str(given["roots"]) if given["roots"] else None),
        witness_log=given["witness_log"],
    )


def _beside(given: dict[str, Any]) -> Any:
    from vtune_client.attestation import read_reveal
    from vtune_client.check import Beside

    reveal = given["reveal"]
    return Beside(
        reveal=read_reveal(_bytes(reveal), str(reveal)) if reveal else None,
        source=given["source"],
        planted=given["planted"],
        log=list(read_exported(given["log"])) if given["log"] else None,
        bundle=_bundle(**{name: given[name] for name in BUNDLE}),
        control=_bytes(given["control"]) if given["control"] else None,
    )


def _bundle(
    bundle: Path | None, identity: str | None, issuer: str | None, trusted_root: Path | None
) -> Bundle | None:
    from vtune_client.check import Bundle

    if bundle and identity and issuer:
        return Bundle(_bytes(bundle), identity, issuer, trusted_root)
    if bundle or identity or issuer or trusted_root:
        raise click.UsageError("--bundle goes with --identity and --issuer, and they with it.")
    return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Name the file.") from error


def _data(statement: Statement, checked: Checked) -> dict[str, Any]:
    predicate = statement.predicate
    return {
        "holds": checked.holds,
        "verdict": predicate.verdict.get("verdict"),
        "p": predicate.verdict.get("p"),
        "commitment": f"sha256:{predicate.commitment_sha256}",
        "findings": [asdict(finding) for finding in checked.findings],
    }


def _text(statement: Statement, checked: Checked) -> Any:
    from rich.console import Group
    from rich.text import Text

    verdict = statement.predicate.verdict
    lines = [
        Text(f"{verdict.get('id')}: {verdict.get('verdict')}, p = {verdict.get('p')}"),
        Text(str(verdict.get("statement", ""))),
        Text(""),
    ]
    for finding in checked.findings:
        mark = Text(f"{finding.standing:<10}", style=STYLES[finding.standing])
        lines.append(Text.assemble(mark, f"{finding.what}: {finding.why}"))
    refuted = [each for each in checked.findings if each.standing == "refuted"]
    lines.append(Text(""))
    lines.append(
        Text(f"{len(refuted)} points are REFUTED: this is not an honest record.", style="bold red")
        if refuted
        else Text("Nothing is refuted.", style="bold green")
    )
    return Group(*lines)
