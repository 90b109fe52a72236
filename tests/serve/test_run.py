from __future__ import annotations

import socket

import pytest

pytest.importorskip("uvicorn")

from vtune_client.serve.run import _bound


def test_small_answers_are_sent_at_once() -> None:
    """asyncio turns Nagle's algorithm off for sockets that say they are TCP, and for no others."""
    with _bound("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP
