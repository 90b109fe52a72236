"""Files go to and come from a storage that the service names by a signed address.

The address alone opens it: no key is sent there, and no message shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import httpx

from vtune_client.errors import InputError, NetworkError, ProviderError

ELSEWHERE = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 5
PIECE = 1 << 20  # bytes
# Between two pieces, not for the whole file.
TIMEOUT = httpx.Timeout(120.0, connect=10.0)
AGAIN = "Try again later."


async def put(address: str, path: Path, *, insecure: bool) -> None:
    """Send the file at `path` to the address; `insecure` lets that be plain http."""
    try:
        size = path.stat().st_size
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            for _ in range(MOST_HOPS):
                async with aclosing(_content(path)) as content:
                    reply = await client.put(
                        _checked(address, insecure=insecure),
                        content=content,
                        headers={"content-length": str(size)},
                    )
                if reply.status_code not in ELSEWHERE:
                    return _accepted(reply)
                address = str(reply.url.join(reply.headers.get("location", "")))
    except httpx.HTTPError as error:
        raise _unreached(error) from None
    except OSError as error:
        raise InputError(
            f"The training file cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    raise ProviderError("The service's storage sends us in circles.", AGAIN)


async def fetch(address: str, *, insecure: bool) -> AsyncGenerator[bytes]:
    """Yield what lies at the address, piece by piece."""
    async with httpx.AsyncClient(timeout=TIMEOUT) as client:
        for _ in range(MOST_HOPS):
            where = _checked(address, insecure=insecure)
            async with client.stream("GET", where) as reply:
                if reply.status_code not in ELSEWHERE:
                    _accepted(reply)
                    async for piece in reply.aiter_bytes():
                        yield piece
                    return
                address = str(reply.url.join(reply.headers.get("location", "")))
    raise ProviderError("The service's storage sends us in circles.", AGAIN)


def _checked(address: str, *, insecure: bool) -> str:
    try:
        parsed = httpx.URL(address)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if not parsed.host or parsed.scheme not in (("https", "http") if insecure else ("https",)):
        raise ProviderError(
            "The service names an address for its storage that is none, or not https.",
            "Check the base URL.",
        )
    return address


def _accepted(reply: httpx.Response) -> None:
    status = reply.status_code
    if status >= 500 or status in (408, 429):
        raise NetworkError(f"The service's storage failed (HTTP {status}).", AGAIN)
    if not 200 <= status < 300:
        raise ProviderError(f"The service's storage refuses the file (HTTP {status}).", AGAIN)


def _unreached(error: httpx.HTTPError) -> NetworkError:
    return NetworkError(f"The service's storage does not answer ({type(error).__name__}).", AGAIN)


async def _content(path: Path) -> AsyncGenerator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as source:
        while piece := await asyncio.to_thread(source.read, PIECE):
            yield piece
