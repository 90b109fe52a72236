"""Webhooks against a real receiver on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Sequence

import pytest

from tests.audit.conftest import ONE, Audited
from tests.loopback import Loopback, Reply, Request
from tests.memory import Service
from vtune_client.audit import hooks
from vtune_client.audit.audit import Hook
from vtune_client.errors import NetworkError, ProviderError, SecretsError

SECRET = "a secret of the tests"
STRICT = ONE + 'policy = "min_share(0.99)"\n'


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def receiver(replies: Sequence[Reply] = ()) -> Loopback:
    """Return a server that takes every message, after these replies."""
    left = list(replies)
    return Loopback(lambda request: left.pop(0) if left else Reply(204))


def head(server: Loopback, on: str = "change") -> str:
    url = f'{{ url = "{server.root}/hook", secret_env = "HOOK_SECRET", on = "{on}" }}'
    return f"webhooks = [{url}]\n"


def signature(request: Request, body: bytes) -> str:
    """Return what a receiver works out, by the Standard Webhooks specification."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(SECRET.encode(), signed + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def test_the_summary_is_sent_signed_and_once(audited: Audited, memory: Service) -> None:
    with receiver() as server:
        summary = audited(ONE, head(server))
        audited(ONE, head(server))
        (told,) = server.seen
        assert (told.method, told.path) == ("POST", "/hook")
        assert told.body == summary
        assert told.headers["webhook-signature"] == signature(told, json.dumps(told.body).encode())
        assert told.headers["idempotency-key"] == told.headers["webhook-id"]


def test_every_change_of_an_outcome_is_told(audited: Audited) -> None:
    with receiver() as server:
        for checks in (ONE, STRICT, STRICT, ONE, ONE):
            audited(checks, head(server))
        states = [told.body["checks"][0]["state"] for told in server.seen]
        assert states == ["holds", "fails", "holds"]
        assert len({told.headers["webhook-id"] for told in server.seen}) == 3


def test_failures_alone_where_that_is_wanted(audited: Audited) -> None:
    with receiver() as server:
        audited(ONE, head(server, "failure"))
        assert server.seen == []
        audited(STRICT, head(server, "failure"))
        assert [told.body["exit_code"] for told in server.seen] == [1]


def test_a_receiver_that_is_busy_is_told_again(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "LONGEST_WAIT_S", 0.01)
    busy = [Reply(503), Reply(429, headers={"retry-after": "1000"})]
    monkeypatch.setattr(hooks, "FIRST_WAIT_S", 0.001)
    with receiver(busy) as server:
        audited(ONE, head(server))
        assert len(server.seen) == 3
        assert len({told.headers["webhook-id"] for told in server.seen}) == 1


def test_one_that_refuses_is_told_by_a_later_call(
    audited: Audited, caplog: pytest.LogCaptureFixture
) -> None:
    with receiver([Reply(410)]) as server, caplog.at_level(logging.WARNING):
        assert audited(ONE, head(server))["exit_code"] == 0
        assert "was not told: It answers HTTP 410" in caplog.text
        assert "/hook" not in caplog.text  # addresses of hooks are often secrets themselves
        audited(ONE, head(server))
        first, second = server.seen
        assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_what_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(hooks, "ATTEMPTS", 2)
    with receiver() as server:
        gone = Hook(f"{server.root}/hook", "HOOK_SECRET")
    with pytest.raises(NetworkError, match="It does not answer"):
        await hooks.send(gone, "m-1", b"{}")
    with receiver([Reply(301, headers={"location": "http://127.0.0.1:1/"})]) as server:
        with pytest.raises(ProviderError, match="HTTP 301"):
            await hooks.send(Hook(server.root, "HOOK_SECRET"), "m-1", b"{}")
        assert len(server.seen) == 1
    monkeypatch.delenv("HOOK_SECRET")
    with pytest.raises(SecretsError, match="HOOK_SECRET is not set"):
        await hooks.send(gone, "m-1", b"{}")


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the specification's own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    message, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
    headers = hooks.signed(secret, message, body, at=1614265330)
    assert headers["webhook-id"] == message
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(SecretsError, match="is no base64"):
        hooks.signed("whsec_?", message, body)
