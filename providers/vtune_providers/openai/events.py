"""What happened in a job: the service's events, and the metrics in its result files.

https://platform.openai.com/docs/api-reference/fine-tuning/list-events. Events of the type
`moderation_checks` tell what the safety checks after training found.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vtune_client.provider import JobEvent
from vtune_providers.openai.words import plain

MODERATION = "moderation"


def event_of(raw: Mapping[str, Any]) -> JobEvent:
    """Return one event; `data` has the service's own, with its `level`, `type`, and `kind`."""
    given = raw.get("data")
    data = dict(given) if isinstance(given, dict) else {}
    for key in ("level", "type"):
        if isinstance(raw.get(key), str):
            data[key] = raw[key]
    if _is_moderation(raw):
        data["kind"] = MODERATION
    return JobEvent(str(raw.get("id")), _seconds(raw.get("created_at")), _message(raw), data)


def blocked_of(events: Iterable[JobEvent]) -> tuple[str, ...] | None:
    """Return the categories for which a moderation event holds the model back; None: none does."""
    for event in events:
        if event.data.get("kind") == MODERATION and event.data.get("blocked") is True:
            return tuple(_flagged(event.data.get("results")))
    return None


def progress_of(events: Iterable[JobEvent]) -> float | None:
    """Return the share of steps done by the last event that counts them."""
    share = None
    for event in events:
        step, total = event.data.get("step"), event.data.get("total_steps")
        if isinstance(step, int | float) and isinstance(total, int | float) and total > 0:
            share = min(1.0, max(0.0, step / total))
    return share


def metrics_of(content: bytes, file_id: str, at: float) -> list[JobEvent]:
    """Return the rows of a result file as events `{file}:{step}`, all at the time `at`.

    OpenAI hands these files out as CSV, or as CSV in base64."""
    table = csv.DictReader(io.StringIO(_unpacked(content)))
    found = []
    for row in table:
        numbers = {key: value for key, text in row.items() if (value := _number(text)) is not None}
        step = numbers.get("step")
        if step is not None:
            found.append(JobEvent(f"{file_id}:{int(step)}", at, "metrics", numbers))
    return found


def _unpacked(content: bytes) -> str:
    try:
        plain_text = base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError):
        plain_text = content
    return plain_text.decode("utf-8-sig", errors="replace")


def _number(text: object) -> float | None:
    try:
        return float(text) if isinstance(text, str) and text.strip() else None
    except ValueError:
        return None


def _is_moderation(raw: Mapping[str, Any]) -> bool:
    kind = raw.get("type")
    return isinstance(kind, str) and kind.startswith("moderation")


def _flagged(results: object) -> Iterator[str]:
    for result in results if isinstance(results, list) else ():
        if isinstance(result, dict) and result.get("flagged"):
            yield plain(result.get("category")) or "an unnamed category"


def _message(raw: Mapping[str, Any]) -> str:
    return plain(raw.get("message")) or str(raw.get("type") or "event")


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
