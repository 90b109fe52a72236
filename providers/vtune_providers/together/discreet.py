"""Calls of the SDK without its DEBUG log.

It writes down whole requests, questions included, and the addresses that open an upload by
themselves. Only our calls are kept quiet: a client of the user's logs its own as before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ours: ContextVar[bool] = ContextVar("_ours", default=False)


class _Discreet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not (_ours.get() and record.levelno <= logging.DEBUG)


_FILTER = _Discreet()


@contextmanager
def discreetly() -> Iterator[None]:
    """Let what is called meanwhile, here or in a thread that is waited for, log no requests."""
    logging.getLogger("together._base_client").addFilter(_FILTER)  # once, however often
    before = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(before)
