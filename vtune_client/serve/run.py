"""Runs the service until somebody stops it."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import threading
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from vtune_client.errors import InputError
from vtune_client.serve.app import make_app
from vtune_client.serve.service import Service

BACKLOG = 128
GRACE_S = 5  # for answers under way when the service is to stop


class Running:
    """A service on an address of its own; port 0 picks a free one.

    Raises `InputError` where the address is taken, and where anybody on the network could use a
    service that asks for no key."""

    def __init__(self, service: Service, host: str, port: int) -> None:
        check_host(host, service.config.keys)
        self.service = service
        self._socket = _bound(host, port)
        address = f"[{host}]" if ":" in host else host
        self.root = f"http://{address}:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(service),
                http=_Protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @property
    def up(self) -> bool:
        return self._server.started

    def serve(self) -> None:
        """Serve until `stop`, SIGTERM (returns) or SIGINT (raises `KeyboardInterrupt`)."""
        if threading.current_thread() is threading.main_thread():
            # Signals that end the server are raised once more afterwards, for whoever had them.
            signal.signal(signal.SIGTERM, _ended)
        self._server.run(sockets=[self._socket])
        self._socket.close()

    def stop(self) -> None:
        """Let `serve` return; to be called from another thread."""
        self._server.should_exit = True


class _Protocol(H11Protocol):
    """Hands requests their connection, so that it can be cut."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._closed = asyncio.Event()
        self.app_state: dict[str, Any] = {
            **self.app_state,
            "transport": transport,
            "closed": self._closed,
        }
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._closed.set()


def check_host(host: str, keys: tuple[str, ...]) -> None:
    """Raise `InputError` where others could reach a service that asks for no key."""
    if keys or host == "localhost":
        return
    try:
        own = ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    if not own:
        raise InputError(
            f"Without keys the service would answer anybody who reaches {host}.",
            "Set VTUNE_SERVE_KEYS or give --keys-file, or serve on 127.0.0.1.",
        )


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        # Named, so that asyncio sends small answers at once: each would wait 40 ms otherwise.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)  # from here on clients wait for an answer
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise InputError(
            f"The address {host}, port {port}, cannot be served on: {error.strerror}.",
            "Choose another --host or --port; port 0 picks a free one.",
        ) from error
    return listener


def _ended(signum: int, frame: FrameType | None) -> None:
    """Nothing more to do: the server has stopped."""
