"""Keyless signatures: who signed is an OpenID identity, and a public log has the proof (Sigstore).

The identity is the CI job's own, or that of a token in an environment variable. Each signature gets
a fresh key, a certificate that binds it to the identity for some minutes, and an entry in the log;
all of that is in the bundle (docs.sigstore.dev, "Sigstore Bundle Format"). A bundle verifies
without a network where the trusted root is given, or as this machine last fetched it.

Thin over the `sigstore` package, whose words for a bad bundle are passed on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vtune_client.errors import InputError, MissingExtra, NetworkError, ProviderError, VTuneError
from vtune_client.signing.dsse import IN_TOTO, MOST_BYTES, Opened, Signature

if TYPE_CHECKING:
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.verify import Verifier

_ISSUER = "1.3.6.1.4.1.57264.1.1"  # github.com/sigstore/fulcio, docs/oid-info.md
_IDENTITY = (
    "Run this in a CI job that may ask for an identity token (in GitHub Actions: "
    "`permissions: id-token: write`), or name the environment variable that holds one."
)


class SigstoreSigner:
    """Signs as an OpenID identity; needs the network.

    `token_variable` names the environment variable that holds the identity token; without it the
    CI job's own is taken. `trust` is a file with a client trust config (JSON) of an instance of
    Sigstore; without it, the public one's is fetched. `fingerprint` is as the token has it, which
    for a CI job is not what its certificate says (`certified`). Raises `InputError` where there is
    no token, `NetworkError` where the instance is not reached."""

    def __init__(self, token_variable: str | None = None, trust: Path | None = None) -> None:
        _package()
        self._token = _token(token_variable)
        self._trust = trust
        self.fingerprint = _known_as(self._token.identity, self._token.federated_issuer)

    def __repr__(self) -> str:
        return f"<SigstoreSigner {self.fingerprint}>"

    def sign(self, payload: bytes, payload_type: str) -> bytes:
        """Return a Sigstore bundle, JSON, of an in-toto statement."""
        from sigstore.dsse import Statement
        from sigstore.errors import Error
        from sigstore.sign import SigningContext

        if payload_type != IN_TOTO:
            raise InputError("Sigstore signs in-toto statements alone.", "Sign a statement.")
        try:
            statement = Statement(payload)
        except Error:
            raise InputError(
                "Sigstore does not take this for an in-toto statement.", "Sign a statement."
            ) from None
        with _signing():
            context = SigningContext.from_trust_config(_trust_config(self._trust))
            with context.signer(self._token) as signer:
                return signer.sign_dsse(statement).to_json().encode()


def certified(data: bytes) -> tuple[str, str]:
    """Return the identity and the issuer that a bundle's certificate names, both unchecked: what
    to give to `open_bundle`. Raises `InputError` for what is no bundle of somebody's."""
    from cryptography import x509

    extensions = _bundle(data).signing_certificate.extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        issuer = extensions.get_extension_for_oid(x509.ObjectIdentifier(_ISSUER)).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise InputError("This Sigstore bundle names nobody.", "Sign again.") from None
    emails = names.get_values_for_type(x509.RFC822Name)
    urls = names.get_values_for_type(x509.UniformResourceIdentifier)
    return next(iter([*emails, *urls]), ""), issuer.public_bytes().decode(errors="replace")


def open_bundle(
    data: bytes, *, identity: str, issuer: str, trusted_root: Path | None = None
) -> Opened:
    """Return what a bundle holds, with its one signature checked against identity and issuer.

    `identity` is an e-mail address or a URL, `issuer` the URL of who vouches for it; together they
    make the signature's fingerprint. Without `trusted_root` (a JSON file) the one that this machine
    last fetched is taken, or the one that came with the package; never the network. Raises
    `InputError` for what is no bundle or no trusted root; a bundle that does not verify is
    reported, without its payload."""
    _package()
    if not (identity and issuer):  # the package takes an empty issuer for any
        raise InputError("A bundle is checked against an identity and its issuer.", "Give both.")
    from sigstore.errors import Error
    from sigstore.verify.policy import Identity

    bundle = _bundle(data)
    verifier = _verifier(trusted_root)
    try:
        kind, payload = verifier.verify_dsse(bundle, Identity(identity=identity, issuer=issuer))
    except Error as error:
        return Opened(b"", "", (Signature(identity, b"", valid=False, reason=_said(error)),))
    except Exception:  # of many kinds, for a bundle that is made to break its reader
        bad = Signature(identity, b"", valid=False, reason="the bundle does not hang together")
        return Opened(b"", "", (bad,))
    by = _known_as(identity, issuer)
    return Opened(payload, kind, (Signature(identity, b"", valid=True, identity=by),))


def _known_as(identity: str, issuer: str) -> str:
    return f"sigstore:{identity} ({issuer})"


def _package() -> None:
    try:
        import sigstore  # noqa: F401
    except ImportError as error:
        raise MissingExtra("sigstore", "sigstore") from error


def _token(variable: str | None) -> IdentityToken:
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential

    try:
        raw = os.environ.get(variable, "") if variable else detect_credential()
        if not raw:
            where = f"The variable {variable} holds" if variable else "This machine offers"
            raise InputError(f"{where} no identity token.", _IDENTITY)
        return IdentityToken(raw)
    except IdentityError as error:
        if _unanswered(error):
            raise NetworkError("The CI service did not answer.", "Try again later.") from None
        raise InputError("The identity token is damaged, expired or refused.", _IDENTITY) from None


def _unanswered(error: BaseException | None) -> bool:
    """Say whether a failure of the network led to this error."""
    from urllib3.exceptions import HTTPError

    while error is not None:
        if isinstance(error, HTTPError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _trust_config(path: Path | None) -> ClientTrustConfig:
    from sigstore.models import ClientTrustConfig

    if path is None:
        return ClientTrustConfig.production()
    try:
        return ClientTrustConfig.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _no_root(path) from None


def _verifier(trusted_root: Path | None) -> Verifier:
    from sigstore.errors import Error
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier

    if trusted_root is None:
        return Verifier.production(offline=True)
    try:
        return Verifier(trusted_root=TrustedRoot.from_file(str(trusted_root)))
    except (OSError, ValueError, Error):
        raise _no_root(trusted_root) from None


def _bundle(data: bytes) -> Bundle:
    from sigstore.models import Bundle

    advice = "Take the file as the signer gave it."
    if len(data) > MOST_BYTES:
        raise InputError("This is no Sigstore bundle: it is too large.", advice)
    try:
        return Bundle.from_json(data)
    except Exception:  # as above: of JSON, of certificates, of the package
        raise InputError("This is no Sigstore bundle.", advice) from None


@contextmanager
def _signing() -> Iterator[None]:
    """Turn what the package raises on the way to a signature into our errors."""
    import requests
    from sigstore.errors import NetworkError as Unreached
    from sigstore.errors import TUFError
    from sigstore.oidc import ExpiredIdentity

    try:
        yield
    except VTuneError:
        raise
    except (Unreached, TUFError, requests.ConnectionError, requests.Timeout) as error:
        raise NetworkError(
            "Sigstore was not reached.",
            "Check the connection and try again; nothing was signed. "
            "A key of your own signs without a network.",
        ) from error
    except ExpiredIdentity as error:
        raise InputError("The identity token has expired.", _IDENTITY) from error
    except Exception as error:  # each of its clients has errors of its own, under no common base
        raise ProviderError(
            f"Sigstore did not sign ({type(error).__name__}).",
            "Try again, or sign with a key of your own; nothing was signed.",
        ) from error


def _said(error: Exception) -> str:
    """Return the first line of what the package says of a bundle, fit for a terminal."""
    first = (str(error).strip().splitlines() or ["it does not verify"])[0]
    return "".join(filter(str.isprintable, first))[:300]


def _no_root(path: Path) -> InputError:
    return InputError(
        f"{path} cannot be read, or holds no trusted root of Sigstore.",
        "Give the trusted_root.json of the instance that signed.",
    )
