"""One OpenAI-compatible service over HTTP: a request goes out, a whole reply comes back.

Redirects are not followed, so that the key goes to no other host. Proxies are taken from the
environment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import httpx

from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_providers.chat.failures import AGAIN
from vtune_providers.chat.wire import Reply

log = logging.getLogger(__name__)
CONNECT_S = 10.0
LARGEST_REPLY = 8 * 2**20  # bytes


class Connection:
    """Reaches the service at `url`. Holds the key in memory; no repr, log or error shows it."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, timeout_s: float, concurrency: int
    ) -> None:
        if timeout_s <= 0 or concurrency < 1:
            raise InputError(
                "timeout is above 0 seconds, and concurrency at least 1.", "Choose larger numbers."
            )
        self.url = url
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self._client: httpx.AsyncClient | None = None

    @property
    def private(self) -> tuple[Any, ...]:
        """What of the connection no message may show."""
        return tuple(value.removeprefix("Bearer ") for value in self._headers.values())

    def open(self) -> None:
        """Get ready to send; nothing is sent yet."""
        try:
            self._client = httpx.AsyncClient(
                headers=self._headers,
                # The whole exchange has a time limit of its own.
                timeout=httpx.Timeout(None, connect=min(CONNECT_S, self._timeout_s)),
                limits=httpx.Limits(max_connections=self._concurrency),
            )
        except (ImportError, ValueError):
            raise InputError(
                "The proxy that the environment names is of a kind that cannot be used.",
                "Set HTTPS_PROXY and ALL_PROXY to an http:// proxy, or unset them.",
            ) from None

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(self, method: str, path: str, body: Any = None, *, url: str = "") -> Reply:
        """Send one request and return the whole reply, whatever its status.

        `path` goes behind `url`, the connection's own by default. `NetworkError` where no whole
        reply came."""
        if self._client is None:
            raise ProviderError("The endpoint is not open.", "Call acquire(model) first.")
        content = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"content-type": "application/json"}
        address = (url or self.url) + path
        started = time.monotonic()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(method, address, content=content, headers=kind) as got,
            ):
                reply = Reply(got.status_code, dict(got.headers), await _whole(got))
        except TimeoutError:
            raise NetworkError(f"No answer came in {self._timeout_s:g} s.", AGAIN) from None
        except httpx.HTTPError as error:
            raise _unreached(error) from None
        log.debug("%s %s: %d, %.2f s", method, path, reply.status, time.monotonic() - started)
        return reply


async def _whole(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > LARGEST_REPLY:
            raise NetworkError(f"The reply is larger than {LARGEST_REPLY} bytes.", AGAIN)
    return bytes(body)


def _unreached(error: httpx.HTTPError) -> NetworkError:
    """Return the error of an exchange that broke off. The library's own words may quote what was
    sent; only those of a connection that was never made cannot."""
    never = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    why = f" ({error})" if isinstance(error, httpx.ConnectError) else f" ({type(error).__name__})"
    return NetworkError(
        f"No answer came from the service{why}.",
        "Check the address and the network, then go on; answers received so far are kept.",
        acted=not never,
    )
