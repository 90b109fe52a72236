from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

pytest.importorskip("rfc3161_client")

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.loopback import Loopback, Reply, Request, Respond
from tests.witness.authority import DAY, REPLY, Authority, Certificate, query
from vtune_client.errors import InputError, MissingExtra, NetworkError, ProviderError
from vtune_client.witness import FRESH, Checked, Receipt, check_receipt
from vtune_client.witness.rfc3161 import KIND, MOST_BYTES, SKEW, Timestamp

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")

DOCUMENT = b'{"schema":"vtune.commitment/1"}'
DIGEST = hashlib.sha256(DOCUMENT).digest()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def ask(respond: Respond, roots: Sequence[bytes] = ()) -> Receipt:
    with Loopback(respond) as server:
        return await Timestamp(server.root, roots=roots).witness(DIGEST)


def answering(answer: bytes) -> Receipt:
    """Return a receipt that holds this answer, and the time that it states where it can be read."""
    untimed = Receipt(KIND, "w", "", base64.b64encode(answer).decode())
    at = check_receipt(untimed, DIGEST).at
    return replace(untimed, at=at.isoformat() if at else "")


async def test_a_good_timestamp(authority: Authority) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    receipt = await ask(authority.respond, [authority.root_pem])
    assert (receipt.kind, receipt.witness.startswith("http://127.0.0.1:")) == (KIND, True)
    found = check_receipt(Receipt.from_json(receipt.to_json()), DIGEST, roots=[authority.root_pem])
    assert (found.ok, found.trusted) == (True, True)
    assert found.at is not None
    assert receipt.at == found.at.isoformat()
    assert began <= found.at <= datetime.now(UTC)


async def test_without_a_root_it_is_anybodys_word(authority: Authority) -> None:
    receipt = await ask(authority.respond)
    found = check_receipt(receipt, DIGEST)
    assert (found.ok, found.trusted) == (True, False)
    assert "no root certificate" in found.reason


async def test_the_request_is_one_that_openssl_reads(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def respond(request: Request) -> Reply:
        asked.append(request.body)
        return Reply(500)

    with Loopback(respond) as server:
        for _ in range(2):
            with pytest.raises(NetworkError):
                await Timestamp(server.root).witness(DIGEST)
    texts = []
    for number, request in enumerate(asked):
        (tmp_path / str(number)).write_bytes(request)
        command = ["openssl", "ts", "-query", "-in", str(tmp_path / str(number)), "-text"]
        texts.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for text in texts:
        assert "Version: 1\n" in text
        assert "Hash Algorithm: sha256\n" in text
        assert "Certificate required: yes\n" in text
    assert asked[0] != asked[1]  # by their nonces


async def test_another_digest(authority: Authority) -> None:
    receipt = await ask(authority.respond, [authority.root_pem])
    found = check_receipt(receipt, hashlib.sha256(b"later").digest(), roots=[authority.root_pem])
    assert (found.ok, found.trusted) == (False, False)
    assert "for something else" in found.reason


async def test_an_answer_about_something_else_is_not_taken(authority: Authority) -> None:
    for other in (query(bytes(32)), query(DIGEST, algorithm="sha3-256")):
        with pytest.raises(ProviderError, match="for something else"):
            await ask(
                lambda request, other=other: Reply(  # type: ignore[misc]
                    body=authority.answer(other), headers=REPLY
                )
            )


@pytest.mark.parametrize("options", [[], ["-no_nonce"]])
async def test_an_answer_to_another_request_is_not_taken(
    authority: Authority, options: list[str]
) -> None:
    """An old answer for the same digest states an old time."""
    replayed = authority.answer(query(DIGEST, "-cert", *options))
    with pytest.raises(ProviderError, match="another request"):
        await ask(lambda request: Reply(body=replayed, headers=REPLY))


async def test_a_refusal(authority: Authority) -> None:
    """openssl refuses a digest that its configuration does not list."""
    refused = authority.answer(query(bytes(20), algorithm="sha1"))
    with pytest.raises(ProviderError, match=r"did not grant it \(rejection\)"):
        await ask(lambda request: Reply(body=refused, headers=REPLY))
    found = check_receipt(answering(refused), DIGEST, roots=[authority.root_pem])
    assert (found.ok, found.trusted, found.at) == (False, False, None)


def _expired(now: datetime) -> Certificate:
    return Certificate(now - 2 * DAY, now - DAY)


def _not_yet(now: datetime) -> Certificate:
    return Certificate(now + DAY, now + 2 * DAY)


def _for_code(now: datetime) -> Certificate:
    return Certificate(now - DAY, now + DAY, ExtendedKeyUsageOID.CODE_SIGNING)


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (_expired, "certificate has expired"),
        (_not_yet, "certificate is not yet valid"),
        (_for_code, "unsuitable certificate purpose"),
    ],
)
async def test_a_certificate_that_is_not_fit(
    authority: Authority, certificate: Callable[[datetime], Certificate], why: str
) -> None:
    authority.certificate = certificate(datetime.now(UTC).replace(microsecond=0))
    with pytest.raises(ProviderError, match=why):
        await ask(authority.respond, [authority.root_pem])
    receipt = await ask(authority.respond)
    found = check_receipt(receipt, DIGEST, roots=[authority.root_pem])
    assert (found.ok, found.trusted) == (False, False)
    assert why in found.reason


async def test_another_root(authority: Authority, tmp_path: Path) -> None:
    """To be asked with it is a refusal; to be read with it says nothing against the receipt."""
    other = Authority(tmp_path)
    with pytest.raises(ProviderError, match="leads to none of the root certificates"):
        await ask(authority.respond, [other.root_pem])
    receipt = await ask(authority.respond)
    found = check_receipt(receipt, DIGEST, roots=[other.root_pem])
    assert (found.ok, found.trusted) == (True, False)
    assert "leads to none of the root certificates" in found.reason
    assert check_receipt(receipt, DIGEST, roots=[other.root_pem, authority.root_pem]).trusted
    assert check_receipt(receipt, DIGEST, roots=[authority.root_pem + other.root_pem]).trusted
    root = x509.load_pem_x509_certificate(authority.root_pem)
    assert check_receipt(receipt, DIGEST, roots=[root.public_bytes(Encoding.DER)]).trusted


async def test_a_root_of_the_same_name_is_another(authority: Authority, tmp_path: Path) -> None:
    forger = Authority(tmp_path, name=authority.name)
    receipt = await ask(forger.respond)
    found = check_receipt(receipt, DIGEST, roots=[authority.root_pem])
    assert (found.ok, found.trusted) == (False, False)
    assert "certificate signature failure" in found.reason


async def test_a_receipt_that_states_another_time(authority: Authority) -> None:
    receipt = await ask(authority.respond)
    earlier = datetime.fromisoformat(receipt.at) - DAY
    found = check_receipt(
        replace(receipt, at=earlier.isoformat()), DIGEST, roots=[authority.root_pem]
    )
    assert (found.ok, found.trusted) == (False, False)
    assert "another time" in found.reason


async def test_a_time_far_from_ours(authority: Authority) -> None:
    for ahead, why in ((-2 * FRESH, "far from this machine's"), (2 * SKEW, "in the future")):
        there = datetime.now(UTC) - ahead
        with Loopback(authority.respond) as server:
            witness = Timestamp(server.root, now=lambda there=there: there)  # type: ignore[misc]
            with pytest.raises(ProviderError, match=why):
                await witness.witness(DIGEST)


async def test_no_cut_answer_is_good(authority: Authority) -> None:
    answer = base64.b64decode((await ask(authority.respond)).data)
    for end in range(len(answer)):
        found = check_receipt(answering(answer[:end]), DIGEST, roots=[authority.root_pem])
        assert (found.ok, found.trusted) == (False, False)
    assert not check_receipt(answering(answer + b"\0"), DIGEST, roots=[authority.root_pem]).ok


async def test_a_changed_bit_changes_neither_time_nor_trust(authority: Authority) -> None:
    receipt = await ask(authority.respond)
    answer = base64.b64decode(receipt.data)
    good = 0
    for place in range(len(answer)):
        changed = bytearray(answer)
        changed[place] ^= 1 << place % 8
        found = check_receipt(
            replace(receipt, data=base64.b64encode(changed).decode()),
            DIGEST,
            roots=[authority.root_pem],
        )
        assert found.trusted or not found.ok or "leads to none" in found.reason
        good += found.trusted
    assert good < 20  # version numbers and the like, which no signature covers


async def test_a_token_of_another_version_is_not_good(authority: Authority) -> None:
    receipt = await ask(authority.respond)
    answer = base64.b64decode(receipt.data)
    version_and_policy = bytes.fromhex("02010106032a0304")
    assert answer.count(version_and_policy) == 1
    other = answer.replace(version_and_policy, bytes.fromhex("02010206032a0304"))
    found = check_receipt(replace(receipt, data=base64.b64encode(other).decode()), DIGEST)
    assert (found.ok, "version unknown" in found.reason) == (False, True)


HOSTILE = {
    "": "cannot be read",
    "!": "not base64",
    "é": "not base64",
    base64.b64encode(b"<html>").decode(): "cannot be read",
    base64.b64encode(b"\x30\x03\x02\x01\x00").decode(): "cannot be read",
    base64.b64encode(b"\x30\x05\x30\x03\x02\x01\x00").decode(): "its token cannot be read",
    base64.b64encode(b"\x30\x05\x30\x03\x02\x01\x63").decode(): "a status unknown",
    base64.b64encode(b"\x30\x84\xff\xff\xff\xff" * 9).decode(): "cannot be read",
    base64.b64encode(bytes(MOST_BYTES + 1)).decode(): "too long",
}


@pytest.mark.parametrize(("data", "reason"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_a_hostile_receipt_is_not_ok(data: str, reason: str) -> None:
    found = check_receipt(Receipt(KIND, "w", "now", data), DIGEST)
    assert found == Checked(False, None, False, found.reason)
    assert reason in found.reason


async def test_http_that_is_no_answer() -> None:
    for reply, family, words in (
        (Reply(500), NetworkError, "HTTP 500"),
        (Reply(503), NetworkError, "HTTP 503"),
        (Reply(429), NetworkError, "HTTP 429"),
        (Reply(404), ProviderError, "HTTP 404"),
        (Reply(302, headers={"location": "/"}), ProviderError, "HTTP 302"),
        (Reply(headers={"content-type": "text/html"}, body=b"<p>"), ProviderError, "'text/html'"),
        (Reply(body=b""), ProviderError, "of the type ''"),
        (Reply(headers=REPLY, body=b""), ProviderError, "cannot be read"),
        (Reply(headers=REPLY, body=bytes(MOST_BYTES + 1)), ProviderError, "answers is too long"),
        (Reply(headers=REPLY, body=bytes(99), hang_up=True), NetworkError, "did not answer"),
    ):
        with pytest.raises(family, match=words) as raised:
            await ask(lambda request, reply=reply: reply)  # type: ignore[misc]
        assert raised.value.advice


async def test_no_answer_in_time() -> None:
    with Loopback(lambda request: Reply(delay_s=30.0)) as server:
        async with httpx.AsyncClient(timeout=0.05) as client:
            with pytest.raises(NetworkError, match="ReadTimeout"):
                await Timestamp(server.root, client).witness(DIGEST)


async def test_an_answer_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte may come in time, and the last one never."""
    monkeypatch.setattr("vtune_client.witness.rfc3161.ANSWER_S", 0.05)
    with (
        Loopback(lambda request: Reply(delay_s=30.0)) as server,
        pytest.raises(NetworkError, match=r"did not answer \(TimeoutError\)"),
    ):
        await Timestamp(server.root).witness(DIGEST)


async def test_nobody_there() -> None:
    with Loopback(lambda request: Reply()) as server:
        gone = server.root
    with pytest.raises(NetworkError, match="did not answer"):
        await Timestamp(gone).witness(DIGEST)


@pytest.mark.parametrize(
    "url", ["", "tsa.example", "ftp://tsa.example", "http://", "http://a:b", "x"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError, match="no address"):
        Timestamp(url)


async def test_a_key_in_the_address_shows_nowhere(authority: Authority) -> None:
    with Loopback(authority.respond) as server:
        url = server.root.replace("//", "//me:pass@") + "/tsr?key=word"
        witness = Timestamp(url)
        receipt = await witness.witness(DIGEST)
        assert server.seen[0].path == "/tsr?key=word"
    with pytest.raises(NetworkError) as gone:
        await witness.witness(DIGEST)
    for shown in (repr(witness), witness.name, str(receipt), str(gone.value)):
        assert "/tsr" in shown
        assert "pass" not in shown
        assert "word" not in shown


async def test_a_digest_has_32_bytes(authority: Authority) -> None:
    with pytest.raises(InputError, match="SHA-256"):
        await Timestamp("http://127.0.0.1:9").witness(b"short")


@pytest.mark.parametrize("file", [b"", b"-----BEGIN", b"<html>", bytes(99)])
def test_roots_that_are_none(file: bytes) -> None:
    with pytest.raises(InputError, match="holds none in PEM or DER"):
        check_receipt(Receipt(KIND, "w", "", ""), DIGEST, roots=[file])


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(MissingExtra, match=r"vtune-client\[timestamp\]"):
        check_receipt(Receipt(KIND, "w", "", ""), DIGEST)
    with pytest.raises(MissingExtra):
        await Timestamp("http://127.0.0.1:9").witness(DIGEST)
