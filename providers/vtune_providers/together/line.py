"""The line to the service: one client of the SDK, asked without the SDK's own retries.

Requests go by method and path, and replies are read as plain JSON: the SDK's typed models refuse
nothing but also promise what the service does not keep (a status of their `Literal`, a field that
is missing), and the raw payload is evidence. Paths and shapes are those of the SDK's version 3
(`together/resources/`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from vtune_client.errors import InputError, ProviderError
from vtune_providers.chat.address import checked_headers
from vtune_providers.together import storage
from vtune_providers.together.discreet import discreetly
from vtune_providers.together.failures import Deed, failure, garbage, late

if TYPE_CHECKING:
    from together import AsyncTogether, Together

OWN_URL = "https://api.together.ai"
OWN_HOSTS = frozenset({"api.together.ai", "api.together.xyz"})
OWN_KEY = "TOGETHER_API_KEY"
CONNECT_S = 10.0
MOST_PAGES = 1000


class Line:
    """Asks the service. `make` gives the SDK's client, async or not; the calls of one that is not
    run in a thread. Without `timeout_s` the client is somebody else's: it keeps its own time
    limits, and is not closed."""

    def __init__(
        self, make: Callable[[], AsyncTogether | Together], timeout_s: float | None = None
    ) -> None:
        self._make = make
        self._timeout_s = timeout_s
        self._client: Any = None

    def __repr__(self) -> str:
        return f"Line({self.base_url!r})"

    @property
    def client(self) -> Any:
        """The client; made anew after `aclose`."""
        if self._client is None:
            self._client = self._make()
        return self._client

    @property
    def base_url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    @property
    def _is_async(self) -> bool:
        from together import AsyncTogether

        return isinstance(self.client, AsyncTogether)

    @property
    def insecure(self) -> bool:
        """Whether the service itself is spoken to without TLS, and so may its storage be."""
        return self.base_url.startswith("http://")

    @property
    def project(self) -> str | None:
        chosen: str | None = self.client.project_id
        return chosen

    @property
    def private(self) -> tuple[Any, ...]:
        """What no message may show: the key and the headers that the user added."""
        added = getattr(self.client, "_custom_headers", {})
        return (self.client.api_key, *map(str, added.values()))

    async def ask(
        self,
        method: str,
        path: str,
        deed: Deed,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the JSON object that the service answers; every failure is one of our errors."""
        answer = await self.send(method, path, deed, body=body, query=query)
        if not answer.content.strip() and method == "delete":
            return {}
        try:
            payload = answer.json()
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            raise garbage(deed)
        return payload

    async def send(
        self,
        method: str,
        path: str,
        deed: Deed,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Return the whole reply to a request that succeeded."""
        from together import APIError

        options = _options(query, headers)
        call = getattr(self.client, method)
        what = {} if method == "get" else {"body": body}
        try:
            with discreetly():
                if not self._is_async:
                    return await asyncio.to_thread(
                        call, path, cast_to=httpx.Response, options=options, **what
                    )
                async with asyncio.timeout(self._timeout_s):
                    reply: httpx.Response = await call(
                        path, cast_to=httpx.Response, options=options, **what
                    )
                    return reply
        except TimeoutError:
            raise late(self._timeout_s) from None
        except APIError as error:
            raise failure(error, deed.keeping(self.private)) from None

    async def stream(
        self, path: str, deed: Deed, *, query: Mapping[str, Any]
    ) -> AsyncIterator[bytes]:
        """Yield the content at `path`, piece by piece; `NetworkError` where it breaks off.

        Where the service sends us to its storage, that is asked without the key."""
        from together import APIError, APIStatusError

        options = _options(query, {"Accept": "application/octet-stream"})
        how: dict[str, Any] = {"cast_to": httpx.Response, "options": options, "stream": True}
        try:
            with discreetly():
                if self._is_async:
                    pieces = _pieces(await self.client.get(path, **how))
                else:
                    pieces = _threaded(await asyncio.to_thread(self.client.get, path, **how))
        except APIStatusError as error:
            where = error.response.headers.get("location")
            if error.status_code not in storage.ELSEWHERE or not where:
                raise failure(error, deed.keeping(self.private)) from None
            pieces = storage.fetch(where, insecure=self.insecure)
        except APIError as error:
            raise failure(error, deed.keeping(self.private)) from None
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        except httpx.HTTPError as error:
            raise late(None, type(error).__name__) from None

    async def pages(
        self, path: str, deed: Deed, *, query: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the items of a list, of all its pages."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            more = {"after": after} if after else {}
            payload = await self.ask("get", path, deed, query={**(query or {}), **more})
            found += items(payload)
            before, after = after, payload.get("next_cursor")
            if not after or after == before:
                break
        return found

    async def in_project(self) -> str:
        """Return the id of the project to act in: the one chosen, or the one the key is of."""
        if self.project:
            return self.project
        told = await self.ask("get", "/v3/whoami", Deed("say whose key this is", "identity"))
        project = told.get("project")
        found = project.get("id") if isinstance(project, dict) else None
        if not isinstance(found, str) or not found:
            raise InputError(
                "The key belongs to no single project.",
                "Name one: project=..., or the variable TOGETHER_PROJECT_ID.",
            )
        return found

    async def aclose(self) -> None:
        """Close the connections; the next question opens new ones."""
        client, self._client = self._client, None
        if client is not None and self._timeout_s is not None:
            await client.close()


def line_to(
    base_url: str | None,
    api_key: str | None,
    project: str | None,
    headers: Mapping[str, str] | None,
    timeout: float,
    client: Any,
) -> Line:
    """Return the line that the connection's keywords describe; `InputError` where one is wrong."""
    from together import AsyncTogether, Together

    if client is not None:
        if not isinstance(client, (AsyncTogether, Together)):
            raise InputError(
                "The client given is none of the together SDK.",
                "Give a together.Together or a together.AsyncTogether.",
            )
        return Line(lambda: client)
    if timeout <= 0:
        raise InputError("timeout is above 0 seconds.", "Choose a larger number.")
    address = checked_url(base_url)
    key = key_for(api_key, address)
    added = checked_headers(None, headers or {})
    limits = httpx.Timeout(timeout, connect=min(CONNECT_S, timeout))

    def make() -> AsyncTogether:
        return AsyncTogether(
            api_key=key,
            base_url=address,
            project_id=project,
            max_retries=0,
            timeout=limits,
            default_headers=added,
        )

    return Line(make, timeout)


def checked_url(url: str | None) -> str:
    """Return the URL that paths like /v1/files are put behind: without /v1 of its own."""
    if not url or not url.strip():
        return OWN_URL
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL:
        raise InputError(
            "The base URL is not a valid URL.", f"Give one such as {OWN_URL}."
        ) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(
            "The base URL does not begin with http:// or https://.", f"Give one such as {OWN_URL}."
        )
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise InputError(
            "The base URL has a user, a query or a fragment in it.",
            "Give the bare URL; a key goes into VTUNE_API_KEY (in Python: api_key or headers).",
        )
    path = parsed.path.rstrip("/").removesuffix("/v1")
    return str(parsed.copy_with(path=path or "/")).rstrip("/")


def segment(value: str) -> str:
    """Return an id as one segment of a path, whatever is in it."""
    if not value or value in (".", ".."):
        raise ProviderError(f"The service's id {value!r} cannot be asked after.", "Check the id.")
    return quote(value, safe="")


def items(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of a list reply; nothing where it has none."""
    listed = payload.get("data")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def key_for(api_key: str | None, address: str) -> str:
    key = api_key or os.environ.get("VTUNE_API_KEY")
    if not key and httpx.URL(address).host in OWN_HOSTS:
        key = os.environ.get(OWN_KEY)
        if not key:
            raise InputError(
                "There is no key for Together.",
                f"Set {OWN_KEY} or VTUNE_API_KEY (in Python: api_key).",
            )
    key = (key or "").strip()
    checked_headers(key, {})
    return key or "none"  # the SDK wants one also for a service that asks for none


def _options(query: Mapping[str, Any] | None, headers: Mapping[str, str] | None) -> dict[str, Any]:
    # The retries of the SDK would repeat a call that spends money.
    options: dict[str, Any] = {"max_retries": 0, "follow_redirects": False}
    if query:
        options["params"] = dict(query)
    if headers:
        options["headers"] = dict(headers)
    return options


async def _pieces(reply: httpx.Response) -> AsyncGenerator[bytes]:
    try:
        async for piece in reply.aiter_bytes():
            yield piece
    finally:
        await reply.aclose()


async def _threaded(reply: httpx.Response) -> AsyncGenerator[bytes]:
    pieces = reply.iter_bytes()
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
    finally:
        await asyncio.to_thread(reply.close)
