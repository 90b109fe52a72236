"""A timestamp authority as a witness (RFC 3161), through the `rfc3161-client` package.

The authority signs the commitment's own digest and the time, so its answer also checks without
this program:

    openssl ts -verify -data commitment.json -in answer.tsr -CAfile roots.pem

What is checked of an answer, in this order; the first three when it comes and when it is read:

1. the authority granted the request (section 2.4.2);
2. the imprint is SHA-256 and the very digest, the version is 1, the time is not in the future;
3. where roots are given: the signature leads to one of them, each certificate was valid at the
   stated time, and the signer's is for timestamps alone (section 2.3);
4. when it comes: the nonce is ours, and the time is about now.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import httpx

from vtune_client.errors import InputError, MissingExtra, NetworkError, ProviderError, VTuneError
from vtune_client.witness.interface import FRESH, Checked, Receipt, require_digest

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

Part = TypeVar("Part")

KIND = "rfc3161"
REPLY_TYPE = "application/timestamp-reply"
MOST_BYTES = 2**18
SKEW = timedelta(minutes=5)  # how far a clock may be ahead of ours
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
ANSWER_S = 60.0  # for the whole of it, however slowly it comes

_SHA256 = "2.16.840.1.101.3.4.2.1"
# What OpenSSL calls a chain that ends before any root that it was given.
_NO_ISSUER = (
    "unable to get local issuer certificate",
    "unable to get issuer certificate",
    "self-signed certificate",
    "self-signed certificate in certificate chain",
)


class Timestamp:
    """Asks the authority at `url`; with `roots` (PEM or DER), its answers must lead to one."""

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient | None = None,
        *,
        roots: Sequence[bytes] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = _address(url)
        # Some authorities take a key in the address.
        self.name = str(self._url.copy_with(username=None, password=None, query=None))
        self._client = client
        self._roots = tuple(roots)
        self._now = now

    def __repr__(self) -> str:
        return f"<Timestamp {self.name}>"

    async def witness(self, digest: bytes) -> Receipt:
        _package()
        require_digest(digest)
        nonce = _nonce()
        answer = await self._ask(_request(digest, nonce))
        try:
            at = self._fresh(answer, digest, nonce)
        except _Refused as error:
            raise ProviderError(
                f"The answer of the timestamp authority {self.name} is no good: {error}.",
                "Nothing of it was kept. Try again, or name another authority.",
            ) from None
        return Receipt(KIND, self.name, at.isoformat(), base64.b64encode(answer).decode())

    def _fresh(self, answer: bytes, digest: bytes, nonce: int) -> datetime:
        response = _decoded(answer)
        at = _stated(response, digest, self._now())
        if response.tst_info.nonce != nonce:
            raise _Refused("it is an answer to another request")
        if abs(at - self._now()) > FRESH:
            raise _Refused(f"it states the time {at.isoformat()}, far from this machine's")
        if self._roots:
            _trusted(response, digest, certificates(self._roots))
        return at

    async def _ask(self, request: bytes) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_S), self._connection() as client:
                return await self._post(client, request)
        except (httpx.HTTPError, TimeoutError) as error:
            raise NetworkError(
                f"The timestamp authority {self.name} did not answer ({type(error).__name__}).",
                "Check the address and the connection, and try again.",
            ) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[httpx.AsyncClient]:
        if self._client is not None:
            yield self._client
            return
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            yield client

    async def _post(self, client: httpx.AsyncClient, request: bytes) -> bytes:
        headers = {
            "content-type": "application/timestamp-query",
            "accept": REPLY_TYPE,
            "accept-encoding": "identity",
        }
        body = bytearray()
        async with client.stream("POST", self._url, content=request, headers=headers) as response:
            self._refuse(response)
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MOST_BYTES:
                    raise self._no_answer("is too long")
        return bytes(body)

    def _refuse(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 429 or status >= 500:
            raise NetworkError(
                f"The timestamp authority {self.name} is not well or busy (HTTP {status}).",
                "Try again later.",
            )
        if status != 200:
            raise self._no_answer(f"is HTTP {status}")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != REPLY_TYPE:
            raise self._no_answer(f"is of the type {kind[:60]!a}")

    def _no_answer(self, what: str) -> VTuneError:
        return ProviderError(
            f"What {self.name} answers {what}: that is no timestamp.",
            "Check that the address is that of a timestamp authority (RFC 3161).",
        )


def check_receipt(receipt: Receipt, digest: bytes, roots: Sequence[bytes] = ()) -> Checked:
    """Say what a timestamp is worth for `digest`, without a network.

    `roots` are files (PEM or DER) of the certificates to trust. Raises `InputError` where those
    are none, and `MissingExtra`; never for the receipt."""
    _package()
    trust = certificates(roots)
    at = None
    try:
        response = _decoded(base64.b64decode(receipt.data, validate=True))
        at = _stated(response, digest, datetime.now(UTC))
        if receipt.at != at.isoformat():
            raise _Refused("the receipt states another time than the authority")
        _trusted(response, digest, trust)
    except _Stranger as error:
        return Checked(True, at, False, f"It states {receipt.at}, but {error}.")
    except _Refused as error:
        return Checked(False, at, False, f"The timestamp is no good: {error}.")
    except ValueError:
        return Checked(False, at, False, "The timestamp is no good: it is not base64.")
    reason = f"Signed at {receipt.at} by an authority whose root certificate was given."
    return Checked(True, at, True, reason)


def certificates(roots: Sequence[bytes]) -> list[Certificate]:
    """Return the certificates of files in PEM or DER; `InputError` for one that holds none."""
    from cryptography import x509

    found: list[Certificate] = []
    for content in roots:
        try:
            if b"-----BEGIN" in content:
                found += x509.load_pem_x509_certificates(content)
            else:
                found.append(x509.load_der_x509_certificate(content))
        except ValueError:
            raise InputError(
                "A file of root certificates holds none in PEM or DER.",
                "Take the root certificate from the authority's own site.",
            ) from None
    return found


class _Refused(Exception):
    """Why an answer is no good, in words that follow a colon."""


class _Stranger(_Refused):
    """That it is signed by somebody unknown."""


def _package() -> None:
    try:
        import rfc3161_client  # noqa: F401
    except ImportError as error:
        raise MissingExtra("rfc3161-client", "timestamp") from error


def _address(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(
            "The address of the timestamp authority is no address.",
            "Give one that begins with https:// or http://.",
        )
    return parsed


def _nonce() -> int:
    """Return a nonce that takes just 8 bytes in DER."""
    return 2**62 + secrets.randbelow(2**62)


def _request(digest: bytes, nonce: int) -> bytes:
    """Return a TimeStampReq in DER (section 2.4.1): version 1, SHA-256, certReq true.

    The package makes requests only for data that it hashes itself; this is for a digest."""
    head = bytes.fromhex("30430201013031300d060960864801650304020105000420")
    return head + digest + b"\x02\x08" + nonce.to_bytes(8, "big") + b"\x01\x01\xff"


def _decoded(answer: bytes) -> TimeStampResponse:
    from rfc3161_client import PKIStatus, decode_timestamp_response

    if len(answer) > MOST_BYTES:
        raise _Refused("it is too long")
    response = _tried(lambda: decode_timestamp_response(answer), "it cannot be read")
    status = response.status
    if status != PKIStatus.GRANTED:
        known = status in list(PKIStatus)
        said = PKIStatus(status).name.lower().replace("_", " ") if known else "a status unknown"
        raise _Refused(f"the authority did not grant it ({said})")
    return response


def _stated(response: TimeStampResponse, digest: bytes, now: datetime) -> datetime:
    """Return the time that an answer states for `digest`."""
    info = _tried(lambda: response.tst_info, "its token cannot be read")
    imprint = _tried(lambda: info.message_imprint, "its token cannot be read")
    algorithm = _tried(lambda: imprint.hash_algorithm.dotted_string, "its token cannot be read")
    if (algorithm, imprint.message) != (_SHA256, digest):
        raise _Refused("it is for something else")
    if info.version != 1:
        raise _Refused("its token is of a version unknown")
    at = _tried(lambda: info.gen_time.astimezone(UTC), "its time cannot be read")
    if at > now + SKEW:
        raise _Refused("its time is in the future")
    return at


def _trusted(response: TimeStampResponse, digest: bytes, roots: Sequence[Certificate]) -> None:
    from rfc3161_client import VerificationError, VerifierBuilder

    if not roots:
        raise _Stranger("no root certificate of the authority was given")
    builder = VerifierBuilder()
    for root in dict.fromkeys(roots):
        builder = builder.add_root_certificate(root)

    def verify() -> str:
        try:
            builder.build().verify(response, digest)
        except VerificationError as error:
            return _why(str(error))
        return ""

    reason = _tried(verify, "its signature cannot be read")
    if reason in _NO_ISSUER:
        raise _Stranger("its signature leads to none of the root certificates that were given")
    if reason:
        raise _Refused(f"its signature does not hold ({reason})")


def _why(message: str) -> str:
    """Return what OpenSSL names last in the package's message; it has no fields for that."""
    named = re.findall(r'(?:reason: "|Verify error: ?)([^"]+)"', message)
    return str(named[-1]) if named else message.rstrip(".")


def _tried(read: Callable[[], Part], otherwise: str) -> Part:
    """Read a part of an answer; whatever its parser makes of hostile bytes, the answer is bad."""
    try:
        return read()
    except Exception:
        raise _Refused(otherwise) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how the parser, which is Rust, gives up
            raise
        raise _Refused(otherwise) from None
