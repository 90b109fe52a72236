"""Where the service is and how we say who we are: what the user gave, checked before it is used.

An HTTP library that is handed a bad key shows it in its error; so nothing bad gets that far, and no
message here shows what it found fault with.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from vtune_client.errors import InputError

_EXAMPLE = "Give one such as https://api.example.com/v1."


def checked_url(url: str | None, provider: str = "chat") -> str:
    """Return the URL that paths like /chat/completions are put behind.

    A URL without a path gets /v1; any other path is taken as it stands, less slashes at its end
    and less a /chat/completions copied along.
    """
    if not url or not url.strip():
        raise InputError(f"The {provider} provider needs the base URL of a service.", _EXAMPLE)
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL:
        raise InputError("The base URL is not a valid URL.", _EXAMPLE) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError("The base URL does not begin with http:// or https://.", _EXAMPLE)
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise InputError(
            "The base URL has a user, a query or a fragment in it.",
            "Give the bare URL; a key goes into VTUNE_API_KEY (in Python: api_key or headers).",
        )
    path = parsed.path.rstrip("/").removesuffix("/chat/completions")
    return str(parsed.copy_with(path=path or "/v1"))


def checked_headers(api_key: str | None, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers to send; the user's own win over ours."""
    sent: dict[str, str] = {}
    if api_key and api_key.strip():
        sent["authorization"] = f"Bearer {_sendable(api_key.strip(), 'The key')}"
    for name, value in headers.items():
        if not name or not all(letter.isalnum() or letter in "-_" for letter in name):
            raise InputError("A header has an unusable name.", "Use letters, digits and dashes.")
        sent[name.lower()] = _sendable(value.strip(), f"The header {name}")
    return sent


def _sendable(value: str, what: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise InputError(
            f"{what} holds characters that cannot be sent.", "Copy it again, without line breaks."
        )
    return value
