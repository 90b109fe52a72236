"""Servers that serve the same: one is asked after the other, and one that is silent is left aside.

That is no second layer of retries: every replica is sent a request once at most.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from vtune_client.errors import NetworkError
from vtune_providers.chat.connection import Connection
from vtune_providers.chat.wire import Reply

log = logging.getLogger(__name__)


class Replicas:
    """Sends each request to the next of several servers.

    One that gave no reply is asked again only where all others give none either."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._all = tuple(connections)
        self._silent: set[Connection] = set()
        self._turn = 0

    async def send(self, method: str, path: str, body: Any = None, *, root: bool = False) -> Reply:
        """Return the whole reply of one replica, whatever its status; `NetworkError` where none
        gave any. `root`: the path is no part of the API under /v1."""
        silence = NetworkError("No server is left to ask.", "Call acquire(model) first.")
        for connection in self._order():
            url = connection.url.removesuffix("/v1") if root else ""
            try:
                reply = await connection.send(method, path, body, url=url)
            except NetworkError as error:
                self._silent.add(connection)
                silence = error
                if len(self._all) > 1:
                    log.warning("%s: %s Asking another replica.", connection.url, error.message)
            else:
                self._silent.discard(connection)
                return reply
        raise silence

    def _order(self) -> list[Connection]:
        self._turn += 1
        start = self._turn % len(self._all) if self._all else 0
        turned = self._all[start:] + self._all[:start]
        return sorted(turned, key=lambda connection: connection in self._silent)
