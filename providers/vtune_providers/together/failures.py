"""From the SDK's exceptions to our errors, in plain sentences.

The service's own words are passed on only where they quote neither the key nor what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from vtune_client.errors import NetworkError, ProviderError, VTuneError
from vtune_providers.chat.failures import Asked, retry_after, spoken
from vtune_providers.chat.wire import Reply

if TYPE_CHECKING:
    from together import APIError

AGAIN = "Try again later."
KEY = "Set TOGETHER_API_KEY or VTUNE_API_KEY (in Python: api_key) to a key of this service."
# "Busy" in the words of services; with 503 it says that nothing was begun.
_BUSY = re.compile(r"busy|overload|capacity|too many|rate limit|try again", re.IGNORECASE)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|\{[^}]*\}")
SAID = 200


@dataclass(frozen=True)
class Deed:
    """What a request is for: what the service is asked to `do`, and the `thing` it concerns.

    `private` must not be seen in a message."""

    do: str
    thing: str
    advice: str = ""
    private: tuple[Any, ...] = field(default=(), repr=False)

    def keeping(self, private: tuple[Any, ...]) -> Deed:
        """Return the same with more that is private."""
        return replace(self, private=(*self.private, *private))


class Refused(ProviderError):
    """The service said no; `reply` is all of it, never shown."""

    def __init__(self, message: str, advice: str, reply: Reply) -> None:
        super().__init__(message, advice)
        self.reply = reply

    @property
    def status(self) -> int:
        return self.reply.status

    def json(self) -> Mapping[str, Any]:
        payload = self.reply.json()
        return payload if isinstance(payload, Mapping) else {}


def failure(error: APIError, deed: Deed) -> VTuneError:
    """Return the error that an exception of the SDK is."""
    from together import APIConnectionError, APIStatusError, APITimeoutError

    if isinstance(error, APIStatusError):
        return refusal(error.response, deed)
    cause = error.__cause__
    acted = not isinstance(cause, _NEVER_SENT)
    if isinstance(error, APITimeoutError):
        return NetworkError("No answer came from the service in time.", AGAIN, acted=acted)
    if isinstance(error, APIConnectionError):
        # Only the words of a connection that was never made cannot quote what was sent.
        why = f" ({cause})" if isinstance(cause, httpx.ConnectError) else ""
        return NetworkError(
            f"No answer came from the service{why or f' ({type(cause).__name__})'}.",
            "Check the address and the network, then go on.",
            acted=acted,
        )
    return garbage(deed)


def refusal(response: httpx.Response, deed: Deed) -> VTuneError:
    """Return the error that a reply with a status of 300 or above is."""
    reply = Reply(response.status_code, response.headers, response.content)
    words = spoken(reply, Asked("", private=deed.private))
    if reply.status in (408, 425, 429) or reply.status >= 500:
        return _later(reply, words)
    message, advice = _said_no(reply.status, words, deed)
    return Refused(message, advice, reply)


def garbage(deed: Deed) -> NetworkError:
    """Return the error that a reply is which reports success and is not what was asked for."""
    return NetworkError(
        f"The service was asked to {deed.do}, and its reply is not Together's.",
        "Check the base URL, or try again later.",
    )


def late(timeout_s: float | None, what: str = "") -> NetworkError:
    """Return the error that no answer, or half of one, is."""
    if timeout_s is not None:
        return NetworkError(f"No answer came from the service in {timeout_s:g} s.", AGAIN)
    return NetworkError(f"The service's answer broke off ({what}).", AGAIN)


def unquoted(text: Any, length: int = SAID) -> str:
    """Return what a service says of a job, on one line, less whatever it quotes: that may be a
    row of the file."""
    if not isinstance(text, str):
        return ""
    flat = " ".join(_QUOTED.sub("\u2026", text).split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}\u2026"


def _said_no(status: int, words: str, deed: Deed) -> tuple[str, str]:
    if status == 401:
        # Without the service's own words: many quote a part of the key.
        return "The service does not accept the key, or wants one (HTTP 401).", KEY
    if status == 402:
        return (
            f"The account's credit does not suffice to {deed.do} (HTTP 402){words}.",
            "Add credit to the account, then go on.",
        )
    if status == 403:
        return (
            f"The service does not let this key {deed.do} (HTTP 403){words}.",
            "Use a key that may, or ask the service why.",
        )
    if status == 404:
        advice = deed.advice or "Check its name, the key's project and the base URL."
        return f"The service has no {deed.thing} (HTTP 404){words}.", advice
    if 300 <= status < 400:
        return (
            f"The service sends us elsewhere (HTTP {status}), where the key was not meant for.",
            "Give the address it moved to as the base URL, if you trust it.",
        )
    advice = deed.advice or "Mend what it names, then go on."
    return f"The service refuses to {deed.do} (HTTP {status}){words}.", advice


def _later(reply: Reply, words: str) -> VTuneError:
    if reply.status == 429 and _quota(reply.json()):
        return ProviderError(
            f"The account's quota at the service is used up (HTTP 429){words}.",
            "Raise it, then go on.",
        )
    busy = reply.status == 429 or (reply.status == 503 and bool(_BUSY.search(words)))
    what = "is busy" if busy or reply.status in (408, 425) else "failed"
    return NetworkError(
        f"The service {what} (HTTP {reply.status}){words}.",
        AGAIN,
        retry_after=retry_after(reply.headers),
        acted=not busy,
    )


def _quota(payload: Any) -> bool:
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if not isinstance(error, Mapping):
        return False
    kinds = {str(error.get("code")), str(error.get("type"))}
    return bool(kinds & {"insufficient_quota", "credit_limit", "billing_limit"})
