"""Credentials never pass: a second line of defence behind code that shows none.

A service may say back what it was sent, and a library may log it. `redact` takes out of a text
what this process knows to be a credential, and what stands where credentials stand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

MASK = "[redacted]"
SHORTEST = 8  # characters: a shorter value is found in ordinary words
ELLIPSIS = "\u2026"
NAME_WORDS = 3  # a text of more words may be quoted from somewhere
STRETCH = 16  # so many characters in a row of a longer one are taken for a part of it

_NAMES = re.compile(r"(?:_|^)(?:API_?KEYS?|KEYS|TOKEN|SECRET|PASSWORD|PASSPHRASE)$")
_HEADERS = re.compile(
    r"""(?ix)
    (\b(?:authorization|proxy-authorization|api[-_]key|x-api-key)["']?\s*[:=]\s*["']?
       (?:(?:bearer|basic|token)\s+)?)            # the header, to be kept
    [^\s"',;}\[]{3,}
    """
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)(?=[\w.~+/-]*\d)[\w.~+/-]{8,}=*")
_KEYS = re.compile(r"\b(?:sk-[\w-]{16,}|(?:tgp|hf|ghp|glpat)[-_](?=\w*\d)\w{20,})")
_IN_URL = re.compile(r"(\w://)[^\s/@]+@")

_given: set[str] = set()


def know(value: Any) -> None:
    """Take a value, or every text in a mapping, for a credential as long as this process lives."""
    if isinstance(value, Mapping):
        for each in value.values():
            know(each)
    elif isinstance(value, str):
        _given.update(_usable(value))


def redact(text: str) -> str:
    """Return the text with `MASK` in the place of every credential in it."""
    text = _HEADERS.sub(rf"\1{MASK}", text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    text = _KEYS.sub(MASK, text)
    text = _IN_URL.sub(rf"\1{MASK}@", text)
    for secret in sorted({*_given, *_of_environment()}, key=len, reverse=True):
        text = _without(text, secret)
    return text


def redacted(value: Any) -> Any:
    """Return a JSON value with every text in it, keys of objects too, put through `redact`."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redacted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


def without_prose(value: Any) -> Any:
    """Return a JSON value less its texts of several words: names and numbers are no row of a file.

    For what a service says of a job beside its message."""
    if isinstance(value, str):
        return value if len(value.split()) <= NAME_WORDS else ELLIPSIS
    if isinstance(value, Mapping):
        return {without_prose(key): without_prose(each) for key, each in value.items()}
    return [without_prose(each) for each in value] if isinstance(value, list) else value


def _without(text: str, secret: str) -> str:
    """Return the text without the secret, and without any long stretch of one that is no phrase."""
    length = len(secret) if " " in secret else min(STRETCH, len(secret))
    hidden = [False] * len(text)
    for start in range(len(secret) - length + 1):
        at = text.find(secret[start : start + length])
        while at >= 0:
            hidden[at : at + length] = [True] * length
            at = text.find(secret[start : start + length], at + 1)
    if not any(hidden):
        return text
    runs = groupby(zip(text, hidden, strict=True), key=itemgetter(1))
    return "".join(MASK if masked else "".join(map(itemgetter(0), run)) for masked, run in runs)


def _of_environment() -> Iterator[str]:
    for name, value in os.environ.items():
        if _NAMES.search(name.upper()):
            for each in value.split(",") if name.endswith("KEYS") else (value,):
                yield from _usable(each)


def _usable(value: str) -> Iterator[str]:
    bare = re.sub(r"(?i)^(bearer|basic)\s+", "", value.strip())
    if len(bare) >= SHORTEST:
        yield bare
