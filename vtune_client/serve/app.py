"""The service over HTTP: one application, OpenAI's shape at /v1, Together's at /together."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vtune_client.errors import InputError, NetworkError, VTuneError
from vtune_client.provider import ScoresNotOffered
from vtune_client.serve import openai, together
from vtune_client.serve.refusals import ConnectionCut, Refusal, place_of
from vtune_client.serve.service import Service

log = logging.getLogger(__name__)


class Shape(Protocol):
    """What the module of a shape holds."""

    def routes(self, service: Service) -> list[BaseRoute]: ...

    def error_body(self, refusal: Refusal) -> dict[str, Any]: ...

    def is_open(self, path: str) -> bool:
        """Return whether a path is served without a key."""


SHAPES: dict[str, Shape] = {"/v1": openai, "/together": together}


def make_app(service: Service) -> ASGIApp:
    """Return the application; it starts the service when it starts, and closes it at its end."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.aclose()

    mounts = [Mount(prefix, routes=shape.routes(service)) for prefix, shape in SHAPES.items()]
    return Gate(service, Router(mounts, lifespan=lifespan, redirect_slashes=False))


class Gate:
    """Lets in who has a key, and puts every refusal into the shape of the path."""

    def __init__(self, service: Service, inner: ASGIApp) -> None:
        self._service, self._inner = service, inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        answering = _Answering(send)
        try:
            self._service.requests.append((scope["method"], scope["path"]))
            self._admit(Request(scope))
            # Its presence lets the router raise for unknown paths instead of answering in text.
            scope["app"] = self
            await self._inner(scope, receive, answering)
        except ConnectionCut:
            await _cut(scope)
        except Exception as error:
            if answering.begun:
                raise
            refusal = _refusal(error)
            body = _shape(scope["path"]).error_body(refusal)
            response = JSONResponse(body, refusal.status, headers=refusal.headers)
            await response(scope, receive, send)

    def _admit(self, request: Request) -> None:
        keys = self._service.config.keys
        if not keys or _shape(request.url.path).is_open(request.url.path):
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = request.headers.get("api-key", "")
        # All are compared, each in constant time, so that time tells nothing about any.
        found = [hmac.compare_digest(given.strip().encode(), key.encode()) for key in keys]
        if not any(found):
            raise Refusal(
                401,
                "Incorrect API key provided." if given else "You didn't provide an API key.",
                code="invalid_api_key" if given else None,
            )


class _Answering:
    """Passes an answer on, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send, self.begun = send, False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        await self._send(message)


def _shape(path: str) -> Shape:
    for prefix, shape in SHAPES.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return shape
    return openai


def _refusal(error: Exception) -> Refusal:
    """Return what a client is told of an error; of one that is ours, that there was one."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        text = {404: "There is no such path here.", 405: "This path takes another method."}
        return Refusal(error.status_code, text.get(error.status_code, error.detail))
    if isinstance(error, InputError | ScoresNotOffered):
        return Refusal(400, str(error), code="invalid_value")
    if isinstance(error, NetworkError):
        return Refusal(503, str(error), kind="server_error", retry_after=error.retry_after)
    if isinstance(error, VTuneError):
        return Refusal(502, str(error), kind="server_error")
    log.error("a request failed: %s", place_of(error))
    return Refusal(500, "The server had an error.", code="server_error", kind="server_error")


async def _cut(scope: Scope) -> None:
    """Close the connection; nothing that was not sent by now is sent."""
    transport = scope["state"]["transport"]
    transport.abort()
    while not scope["state"]["closed"].is_set():
        await asyncio.sleep(0)
