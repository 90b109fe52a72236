"""Logs on stderr, as text or as one JSON object per line.

Python's own `logging`, which whoever uses the library has set up already: a second way to log
would be one more to configure, and two formatters are all that is missing. Both put what they
write through `redact`, and both leave out the words of exceptions, which may quote a service.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

from vtune_client.redaction import redact, redacted
from vtune_client.telemetry import trace_ids

OURS = ("vtune_client", "vtune_providers")
_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}


def set_up(verbose: int, format_: str) -> None:
    """Log our own words to stderr; of others, warnings alone.

    What clients of services log when asked for everything holds the whole request, secrets too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if format_ == "json" else Lines())
    logging.basicConfig(handlers=[handler])
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def as_json() -> bool:
    """Return whether what goes to stderr is to be JSON."""
    return any(isinstance(each.formatter, JsonLines) for each in logging.getLogger().handlers)


class Lines(logging.Formatter):
    """A line of text per record."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(_frames(ei))


class JsonLines(logging.Formatter):
    """A JSON object per record: time, level, logger, message, and what the caller gave as `extra`.

    Inside a trace also its `trace_id` and `span_id`, which join logs and spans."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        found: dict[str, Any] = {
            "time": at.isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if ids := trace_ids():
            found["trace_id"], found["span_id"] = ids
        if record.exc_info and record.exc_info[0]:
            found["exception"] = _frames(record.exc_info)
        known = {*_STANDARD, *found}
        found |= {key: each for key, each in vars(record).items() if key not in known}
        return json.dumps(redacted(found), default=lambda value: redact(str(value)))


def _frames(info: Any) -> list[str]:
    """Return where an exception came from and its class."""
    lines = [line.rstrip() for line in traceback.format_tb(info[2])]
    return [*lines, info[0].__name__]
