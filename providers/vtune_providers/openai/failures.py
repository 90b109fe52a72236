"""From what the SDK raises, and from replies that are refusals, to our errors.

The service's own words are passed on only where they quote neither a key, nor what was asked, nor
anything that may be a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import openai

from vtune_client.errors import NetworkError, ProviderError, VTuneError
from vtune_providers.chat.failures import Asked, retry_after, spoken
from vtune_providers.chat.wire import Reply
from vtune_providers.openai.words import plain

AGAIN = "Try again later; nothing done so far is lost."
_LATER = (408, 409, 425, 429)
# What went wrong before a byte of the request was sent; httpx and its successor agree on names.
_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError")
_BUSY = re.compile(r"busy|overloaded|rate limit|too many|slow down|capacity", re.IGNORECASE)
_QUOTA = re.compile(r"insufficient_quota|exceeded_quota|billing_hard_limit|billing_not_active")
_CLOSED = re.compile(
    r"no longer|not (?:available|enabled|permitted|allowed|supported)|unavailable|closed|disabled"
    r"|winding down|not have access",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Doing:
    """What was asked of the service, in words for a message: "does not let this key `what`",
    "knows no `subject`". `private` is what no message may show."""

    what: str
    subject: str = "such thing"
    private: tuple[Any, ...] = field(default=(), repr=False)


def unanswered(error: openai.OpenAIError, doing: Doing) -> VTuneError:
    """Return the error that a call is which brought no reply."""
    cause = error.__cause__
    kind = type(cause).__name__ if cause is not None else type(error).__name__
    if isinstance(error, openai.APIConnectionError):
        return NetworkError(
            f"No answer came from the service ({kind}) when asked to {doing.what}.",
            "Check the address and the network, then go on.",
            acted=kind not in _NEVER_SENT,
        )
    # Without the SDK's own words: they may quote what was sent.
    return NetworkError(
        f"The openai SDK cannot {doing.what} ({kind}).", "Check the connection's keywords."
    )


def garbage(reply: Reply, doing: Doing) -> NetworkError:
    """Return the error that a reply is which reports success and is no JSON object of this API."""
    return NetworkError(
        f"The service was asked to {doing.what}, and its reply (HTTP {reply.status}) is not what "
        "an OpenAI-compatible service gives.",
        "Check the base URL, or try again later.",
        retry_after=retry_after(reply.headers),
    )


def failure(reply: Reply, doing: Doing) -> VTuneError:
    """Return the error that a reply with a status of 300 or above is."""
    status = reply.status
    if status in _LATER or status >= 500:
        return _later(reply, doing)
    if 300 <= status < 400:
        return ProviderError(
            f"The service sends us elsewhere (HTTP {status}), where the key was not meant for.",
            "Give the address it moved to as base_url, if you trust it.",
        )
    if is_closed(reply):
        return ProviderError(
            f"The service offers this account no fine-tuning (HTTP {status}){words(reply, doing)}.",
            "OpenAI is closing it, for new organisations first; train elsewhere: another base_url, "
            "or another provider of `vtune providers`.",
        )
    return _REFUSALS.get(status, _refused)(reply, doing)


def is_closed(reply: Reply) -> bool:
    """Return whether the service says that it fine-tunes no more, or not for this account.

    What it says of one model is another matter."""
    said = reply.body.decode(errors="replace").lower()
    about = re.search(r"fine[-_ ]?tun", said) and "model" not in said
    return 400 <= reply.status < 500 and bool(about and _CLOSED.search(said))


def words(reply: Reply, doing: Doing) -> str:
    """Return the service's own words, to be put behind a statement, or ""."""
    said = plain(spoken(reply, Asked("", private=doing.private)).removeprefix(": "))
    return f": {said}" if said else ""


def named(reply: Reply) -> str:
    """Return the code and the parameter of an error object, as "code, param", or ""."""
    return ", ".join(_named(reply))


def _named(reply: Reply) -> Iterator[str]:
    payload = reply.json()
    error = payload.get("error", payload) if isinstance(payload, dict) else None
    for key in ("code", "param"):
        value = error.get(key) if isinstance(error, dict) else None
        if isinstance(value, str) and re.fullmatch(r"[\w.\[\]-]{1,60}", value):
            yield value


def _unauthorized(reply: Reply, doing: Doing) -> VTuneError:
    # Without the service's own words: many quote a part of the key.
    return ProviderError(
        "The service does not accept the key, or wants one (HTTP 401).",
        "Set VTUNE_API_KEY, or the service's own variable, or api_key, to a key of this service.",
    )


def _forbidden(reply: Reply, doing: Doing) -> VTuneError:
    return ProviderError(
        f"The service does not let this key {doing.what} (HTTP 403){words(reply, doing)}.",
        "Use a key that may, or ask the service why.",
    )


def _unknown(reply: Reply, doing: Doing) -> VTuneError:
    return ProviderError(
        f"The service knows no {doing.subject} (HTTP 404){words(reply, doing)}.",
        "Check the name and the base URL.",
    )


def _too_large(reply: Reply, doing: Doing) -> VTuneError:
    return ProviderError(
        f"What was sent is too large for the service (HTTP 413){words(reply, doing)}.",
        "Send a smaller file.",
    )


def _refused(reply: Reply, doing: Doing) -> VTuneError:
    which = ", ".join((f"HTTP {reply.status}", *_named(reply)))
    return ProviderError(
        f"The service refuses to {doing.what} ({which}){words(reply, doing)}.",
        "Mend what it names, or ask the service why.",
    )


_REFUSALS: dict[int, Callable[[Reply, Doing], VTuneError]] = {
    401: _unauthorized,
    403: _forbidden,
    404: _unknown,
    413: _too_large,
}


def _later(reply: Reply, doing: Doing) -> VTuneError:
    said = words(reply, doing)
    body = reply.body.decode(errors="replace")
    if reply.status == 429 and _QUOTA.search(body):
        return ProviderError(
            f"The key's quota at the service is used up (HTTP 429){said}.",
            "Raise it, or its budget, then go on.",
        )
    busy = reply.status == 429 or (reply.status in (503, 529) and bool(_BUSY.search(body)))
    what = "is busy" if busy or reply.status in _LATER else "failed"
    return NetworkError(
        f"The service {what} (HTTP {reply.status}) when asked to {doing.what}{said}.",
        AGAIN,
        retry_after=retry_after(reply.headers),
        acted=not busy,
    )
