"""Connections that break in a chosen place, for clients of the vendors' SDKs.

    wire = Wire(httpx2)
    OpenAI(http_client=wire.client(), ...)
    wire.breaks("POST", "/v1/fine_tuning/jobs", lost)

Everything else goes through to the service for real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

# What happens to one request: gets the HTTP package, the request, and a call that passes it on.
Fault = Callable[[Any, Any, Callable[[], Any]], Any]


@dataclass
class Wire:
    """`http` is httpx2 or httpx, as the SDK wants; `seen` lists (method, path) of all requests."""

    http: Any
    seen: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str, Fault]] = field(default_factory=list)

    def breaks(self, method: str, path: str, *faults: Fault) -> None:
        """Let the next requests of that kind meet these faults, one each."""
        self.faults += [(method, path, fault) for fault in faults]

    def count(self, method: str, path: str) -> int:
        return self.seen.count((method, path))

    def client(self) -> Any:
        wire, http = self, self.http

        class Transport(http.HTTPTransport):  # type: ignore[misc, name-defined]
            def handle_request(self, request: Any) -> Any:
                fault, send = wire._next(request), partial(super().handle_request, request)
                return fault(http, request, send) if fault else send()

        return http.Client(transport=Transport())

    def async_client(self) -> Any:
        wire, http = self, self.http

        class Transport(http.AsyncHTTPTransport):  # type: ignore[misc, name-defined]
            async def handle_async_request(self, request: Any) -> Any:
                fault = wire._next(request)
                if fault is None:
                    return await super().handle_async_request(request)
                if fault is lost:
                    await (await super().handle_async_request(request)).aread()
                return fault(http, request, lambda: None)

        return http.AsyncClient(transport=Transport())

    def _next(self, request: Any) -> Fault | None:
        self.seen.append((request.method, request.url.path))
        for index, (method, path, fault) in enumerate(self.faults):
            if (method, path) == self.seen[-1]:
                del self.faults[index]
                return fault
        return None


def lost(http: Any, request: Any, send: Callable[[], Any]) -> Any:
    """The service gets the request, its answer does not arrive."""
    if (answer := send()) is not None:
        answer.read()
    raise http.ReadError("the connection broke", request=request)


def unreachable(http: Any, request: Any, send: Callable[[], Any]) -> Any:
    """No connection is made."""
    raise http.ConnectError("refused", request=request)


def refused(status: int, **headers: str) -> Fault:
    """The service is not asked; the answer is this status."""

    def fault(http: Any, request: Any, send: Callable[[], Any]) -> Any:
        body = {"error": {"message": "Not now."}}
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.Response(status, json=body, headers=shown, request=request)

    return fault
