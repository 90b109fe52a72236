"""From a reply that is no answer to the error that says so.

A service may quote what it was asked, or the key it was given, in its complaint. Its words are
passed on only where no stretch of them is ours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.errors import NetworkError, ProviderError, VTuneError
from vtune_providers.chat.wire import Reply

AGAIN = "Try again later; answers received so far are kept."
SAID_LENGTH = 200
NAMED_MODELS = 5
STRETCH = 12  # so many letters in a row, two or three words, are no coincidence
_BUSY = (408, 409, 425, 429)  # and 5xx: the same question may be answered later


@dataclass(frozen=True)
class Asked:
    """What the reply answers: the model, the models that the service lists (none where it lists
    nothing), and what must not be seen in a message: the question and the headers sent."""

    model: str
    listed: tuple[str, ...] = ()
    private: tuple[Any, ...] = field(default=(), repr=False)

    def about(self, prompt: Prompt, *texts: str) -> Asked:
        """Return the same with a question, and any texts sent along, among what is private."""
        question = (prompt.text, prompt.messages, prompt.tools, texts)
        return replace(self, private=(*self.private, question))

    @property
    def unlisted(self) -> str:
        """A sentence, where the service has a list and the model is not on it."""
        if not self.listed or self.model in self.listed:
            return ""
        names = ", ".join(_clean(name, 80) for name in self.listed[:NAMED_MODELS])
        more = len(self.listed) - NAMED_MODELS
        return f"It lists {names}{f' and {more} more' if more > 0 else ''}."


def failure(reply: Reply, asked: Asked) -> VTuneError:
    """Return the error that a reply with a status of 300 or above is."""
    status, words = reply.status, spoken(reply, asked)
    if status in _BUSY or status >= 500:
        return _later(reply, words)
    if status == 401:
        # Without the service's own words: many quote a part of the key.
        return ProviderError(
            "The service does not accept the key, or wants one (HTTP 401).",
            "Set VTUNE_API_KEY (in Python: api_key) to a key of this service.",
        )
    if status == 403:
        return ProviderError(
            f"The service does not let this key use {asked.model!r} (HTTP 403){words}.",
            asked.unlisted or "Use a key that may, or ask the service why.",
        )
    if status == 404:
        return ProviderError(
            f"The service knows no model {asked.model!r} at this address (HTTP 404){words}.",
            asked.unlisted or "Check the model's name and the base URL.",
        )
    if 300 <= status < 400:
        return ProviderError(
            f"The service sends us elsewhere (HTTP {status}), where the key was not meant for.",
            "Give the address it moved to as the base URL, if you trust it.",
        )
    return ProviderError(
        f"The service refuses the question (HTTP {status}){words}.",
        asked.unlisted or "Check that it serves this model with this kind of prompt.",
    )


def garbage(reply: Reply, asked: Asked) -> NetworkError:
    """Return the error that a reply is which reports success and holds no answer."""
    return NetworkError(
        "The service's reply is not what an OpenAI-compatible service gives"
        f"{spoken(reply, asked)}.",
        "Check the base URL, or try again later; answers received so far are kept.",
        retry_after=retry_after(reply.headers),
    )


def _later(reply: Reply, words: str) -> VTuneError:
    if reply.status == 429 and b"insufficient_quota" in reply.body:
        return ProviderError(
            f"The key's quota at the service is used up (HTTP 429){words}.",
            "Raise it, then verify again; answers received so far are kept.",
        )
    what = "is busy" if reply.status in _BUSY else "failed"
    return NetworkError(
        f"The service {what} (HTTP {reply.status}){words}.",
        AGAIN,
        retry_after=retry_after(reply.headers),
    )


def spoken(reply: Reply, asked: Asked) -> str:
    """Return what the service says of it, to be put behind a statement; "" where that is nothing
    or not fit to be shown."""
    said = _clean(_complaint(reply.json()), SAID_LENGTH)
    if not said or _shares(said, asked.private):
        return ""
    return f": {said.rstrip('.')}"


def _complaint(payload: Any, depth: int = 4) -> str:
    """Return the message of an error object, in whichever of the usual shapes it comes."""
    if isinstance(payload, str):
        return payload
    if depth == 0:
        return ""
    if isinstance(payload, list):
        return "; ".join(filter(None, (_complaint(item, depth - 1) for item in payload[:3])))
    if not isinstance(payload, Mapping):
        return ""
    found = (payload.get(key) for key in ("error", "message", "detail", "msg"))
    return next(filter(None, (_complaint(item, depth - 1) for item in found)), "")


def _clean(text: str, length: int) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    flat = " ".join(printable.split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}\u2026"


def _shares(text: str, private: tuple[Any, ...]) -> bool:
    """Return whether `text` has a stretch in common with anything private, case, spaces and
    punctuation aside; of a private text shorter than a stretch, the whole."""
    said = _letters(text)
    for item in private:
        joined = " ".join(_strings(item))
        # Also as JSON writes it that is kept to ASCII.
        for kept in {_letters(joined), _letters(json.dumps(joined))} - {""}:
            width = min(STRETCH, len(kept))
            if any(said[at : at + width] in kept for at in range(len(said) - width + 1)):
                return True
    return False


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the reply asks to wait (RFC 9110, 10.2.3), None where it does not."""
    value = headers.get("retry-after", "").strip()
    try:
        plain = value.isascii() and value.replace(".", "", 1).isdigit()
        return float(value) if plain else _until(value)
    except (ValueError, OverflowError):
        return None


def _until(date: str) -> float:
    return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
