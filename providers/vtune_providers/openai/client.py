"""The SDK's client, and its calls as coroutines that give whole replies.

Replies are read as they stand, not through the SDK's types: services leave fields out, add their
own, and say statuses that the types do not have. The SDK never retries, follows no redirect (the
key and the rows go to no other host), and to a host that is not the vendor's it sends nothing that
the environment names for OpenAI.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import openai

from vtune_client.errors import InputError
from vtune_providers.chat.wire import Reply
from vtune_providers.openai.failures import Doing, failure, garbage, unanswered
from vtune_providers.openai.settings import Settings

log = logging.getLogger(__name__)
PAGE = 100  # items asked for at once

# A call on the SDK's `with_raw_response`: sync or async, as its client is.
Call = Callable[[Any], Any]

# What the SDK and HTTP need of headers; all others are ours or stay here.
_PLUMBING = frozenset(
    {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-type",
        "content-length",
        "transfer-encoding",
        "user-agent",
    }
)


class Service:
    """One service. Its client is opened at the first call; one that the user gave stays open."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._theirs = _without_retries(settings.given.client)
        self._ours: openai.AsyncOpenAI | None = None

    async def ask(self, call: Call, doing: Doing) -> Reply:
        """Return the reply, whatever its status; `NetworkError` where there is none."""
        started = time.monotonic()
        try:
            raw = await self._made(call)
        except openai.APIStatusError as error:
            reply = _reply(error.response)
        except openai.OpenAIError as error:
            raise unanswered(error, self._with_keys(doing)) from None
        else:
            reply = _reply(raw.http_response)
        log.debug("%s: %d, %.2f s", doing.what, reply.status, time.monotonic() - started)
        return reply

    async def payload(self, call: Call, doing: Doing) -> Mapping[str, Any]:
        """Return the JSON object that a successful reply holds; else raise what went wrong."""
        reply = await self.ask(call, doing)
        if not reply.ok:
            raise self.failed(reply, doing)
        found = reply.json()
        if not isinstance(found, dict):
            raise garbage(reply, doing)
        return found

    async def pages(
        self, call: Callable[[Any, Mapping[str, Any]], Any], doing: Doing
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """Yield the pages of a list; `call` takes the keywords that pick one."""
        after: str | None = None
        seen: set[str] = set()
        while True:
            which: dict[str, Any] = {"limit": PAGE} | ({"after": after} if after else {})
            found = await self.payload(_picking(call, which), doing)
            data = found.get("data")
            items: list[Mapping[str, Any]] = [
                item for item in (data if isinstance(data, list) else ()) if isinstance(item, dict)
            ]
            # A service that knows no `after` gives the same page for ever.
            items = [item for item in items if str(item.get("id")) not in seen]
            if not items:
                return
            yield items
            seen.update(str(item.get("id")) for item in items)
            after = str(items[-1].get("id"))
            if not found.get("has_more", len(items) >= PAGE):
                return

    def failed(self, reply: Reply, doing: Doing) -> Exception:
        """Return the error that this reply is."""
        return failure(reply, self._with_keys(doing))

    async def aclose(self) -> None:
        ours, self._ours = self._ours, None
        if ours is not None:
            await ours.close()

    async def _made(self, call: Call) -> Any:
        if isinstance(self._theirs, openai.OpenAI):
            return await asyncio.to_thread(call, self._theirs)
        if self._theirs is None and self._ours is None:
            self._ours = _new_client(self.settings)
        made: Awaitable[Any] = call(self._theirs or self._ours)
        return await made

    def _with_keys(self, doing: Doing) -> Doing:
        keys = tuple(value.removeprefix("Bearer ") for value in self.settings.headers.values())
        return Doing(doing.what, doing.subject, (*doing.private, *keys, *_key_of(self._theirs)))


def _picking(call: Callable[[Any, Mapping[str, Any]], Any], which: Mapping[str, Any]) -> Call:
    return lambda sdk: call(sdk, which)


def _without_retries(client: Any) -> openai.OpenAI | openai.AsyncOpenAI | None:
    if client is None:
        return None
    if not isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        raise InputError(
            f"The client is a {type(client).__name__}, not one of the openai SDK.",
            "Give an openai.OpenAI or openai.AsyncOpenAI.",
        )
    # A copy that shares its connections: a create that is repeated blindly is paid for twice.
    return client.with_options(max_retries=0)


def _new_client(settings: Settings) -> openai.AsyncOpenAI:
    given = settings.given

    async def only_ours(request: Any) -> None:
        for name in [*request.headers]:
            lower = name.lower()
            theirs = lower == "authorization" or not settings.own
            plumbing = lower in _PLUMBING or lower.startswith("x-stainless-")
            if theirs and not plumbing:
                del request.headers[name]
        request.headers.update(settings.headers)

    try:
        http = openai.DefaultAsyncHttpxClient(
            timeout=given.timeout, follow_redirects=False, event_hooks={"request": [only_ours]}
        )
    except (ImportError, ValueError):
        raise InputError(
            "The proxy that the environment names is of a kind that cannot be used.",
            "Set HTTPS_PROXY and ALL_PROXY to an http:// proxy, or unset them.",
        ) from None
    return openai.AsyncOpenAI(
        api_key="unused",  # the header is set above; without a word here the SDK takes the
        base_url=settings.base_url,  # environment's, whoever the service is
        timeout=given.timeout,
        max_retries=0,
        default_query={"api-version": given.api_version} if given.api_version else None,
        http_client=http,
    )


def _reply(response: Any) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content)


def _key_of(client: openai.OpenAI | openai.AsyncOpenAI | None) -> tuple[str, ...]:
    return (client.api_key,) if client is not None and client.api_key else ()
