"""Webhooks: who wants to know gets the summary when an outcome has changed, signed, and once.

Requests follow the Standard Webhooks specification 1.0 (standardwebhooks.com): `webhook-id`,
`webhook-timestamp` and `webhook-signature`, an HMAC-SHA256 of `id.timestamp.body` in base64 behind
"v1,". The id names what is told, so it is the same however often it is sent, and stands in
`Idempotency-Key`, too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from vtune_client.audit.audit import Audit, Hook, digest_of
from vtune_client.audit.runs import HOOK
from vtune_client.errors import NetworkError, ProviderError, SecretsError, VTuneError
from vtune_client.ledger import AuditEntry, Ledger
from vtune_client.patience import as_told, tell

log = logging.getLogger(__name__)

ATTEMPTS, TIMEOUT_S = 5, 20.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
PREFIX = "whsec_"
BUSY = frozenset({408, 425, 429})


async def tell_hooks(audit: Audit, ledger: Ledger, summary: Mapping[str, Any]) -> None:
    """Tell each webhook where outcomes are others than it was told last; the ledger knows which.

    An outcome is what a check's state and verdict are in which run. What cannot be told now is
    told by a later call."""
    outcomes = {
        check["name"]: [check["run"], check["state"], check["verdict"]]
        for check in summary["checks"]
    }
    for hook in audit.hooks:
        if hook.on == "failure" and summary["exit_code"] == 0:
            continue
        name = f"{HOOK} {digest_of(hook.url)[:16]}"
        told = [entry for entry in ledger.audit_entries(audit.name) if entry.entry == name]
        if told and told[-1].data["outcomes"] == outcomes:
            continue
        # A message follows from the one before it: cut short, the same one is sent again.
        message = digest_of([hook.url, outcomes, told[-1].run if told else None])[:32]
        try:
            await send(hook, message, json.dumps(summary).encode())
        except VTuneError as error:
            log.warning("The webhook at %s was not told: %s", httpx.URL(hook.url).host, error)
        else:
            data = {"outcomes": outcomes}
            ledger.save_audit_entry(AuditEntry(audit.name, name, message, time.time(), data=data))


async def send(hook: Hook, message: str, body: bytes) -> None:
    """Send one signed message, again where the receiver is busy or does not answer.

    `SecretsError` where the secret is not in the environment, `ProviderError` where the receiver
    refuses, `NetworkError` where it does not answer."""
    secret = hook.secret()
    pause = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(NetworkError),
            wait=as_told(pause, LONGEST_WAIT_S),
            stop=stop_after_attempt(ATTEMPTS),
            before_sleep=tell,
            reraise=True,
        ):
            with attempt:
                await _post(client, hook.url, signed(secret, message, body), body)


def signed(secret: str, message: str, body: bytes, at: float | None = None) -> dict[str, str]:
    """Return the headers of a message: its id, when it is sent, and the signature over all."""
    moment = str(int(time.time() if at is None else at))
    content = b".".join((message.encode(), moment.encode(), body))
    digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "idempotency-key": message,
    }


def _key(secret: str) -> bytes:
    """Return the bytes of a secret: "whsec_" and base64, as the specification has it, or any text.

    `SecretsError` where it begins so and goes on otherwise."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise SecretsError(
            f"A webhook's secret begins with {PREFIX} and is no base64 after it.",
            "Set the variable to the secret as the receiver gave it.",
        ) from None


async def _post(
    client: httpx.AsyncClient, url: str, headers: Mapping[str, str], body: bytes
) -> None:
    try:
        answer = await client.post(url, content=body, headers=dict(headers))
    except httpx.TransportError as error:
        raise NetworkError(f"It does not answer ({type(error).__name__}).") from None
    if answer.status_code in BUSY or answer.status_code >= 500:
        wish = answer.headers.get("retry-after", "")
        raise NetworkError(
            f"It answers HTTP {answer.status_code}.",
            retry_after=float(wish) if wish.isdigit() else None,
        )
    if not answer.is_success:
        raise ProviderError(f"It answers HTTP {answer.status_code}.", "See whether it is the URL.")
