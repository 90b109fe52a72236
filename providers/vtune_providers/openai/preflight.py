"""What would be refused, and what it would cost, found before anything is sent.

Shutdown dates: `shutdown_date` of https://platform.openai.com/docs/api-reference/models/object.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from vtune_client.dataset import check
from vtune_client.errors import InputError, Problem
from vtune_client.provider import Estimate, JobSpec
from vtune_providers.openai.presets import Preset, base_name

log = logging.getLogger(__name__)
T = TypeVar("T")

MIN_ROWS = 10
SOON_DAYS = 90
METADATA_KEYS, KEY_LENGTH, VALUE_LENGTH = 15, 64, 512  # one more key is ours


def check_spec(spec: JobSpec, preset: Preset) -> None:
    """Raise `InputError` for a recipe that this API has no words for."""
    if spec.learning_rate is not None:
        raise InputError(
            "This API takes no absolute learning rate.",
            "Leave learning_rate out and give the option learning_rate_multiplier.",
        )
    if spec.method not in preset.methods:
        raise InputError(
            f"The preset {preset.name!r} does not train with the method {spec.method!r}.",
            f"Choose one of {', '.join(sorted(preset.methods))}.",
        )
    if spec.suffix and len(spec.suffix) > preset.suffix_length:
        raise InputError(
            f"The suffix has {len(spec.suffix)} characters.",
            f"Give one of at most {preset.suffix_length}.",
        )
    _check_metadata(spec.options.get("metadata", {}))


def _check_metadata(metadata: object) -> None:
    fits = (
        isinstance(metadata, Mapping)
        and len(metadata) <= METADATA_KEYS
        and all(
            isinstance(key, str)
            and isinstance(value, str)
            and len(key) <= KEY_LENGTH
            and len(value) <= VALUE_LENGTH
            for key, value in metadata.items()
        )
    )
    if not fits:
        raise InputError(
            "The option metadata will not do.",
            f"Give at most {METADATA_KEYS} strings by name, of {VALUE_LENGTH} characters, with "
            f"names of {KEY_LENGTH}.",
        )


def problems_of(path: Path, preset: Preset) -> list[Problem]:
    """Return what is wrong with the file as a whole: its size and the number of its rows."""
    found = []
    size = path.stat().st_size
    if preset.max_bytes is not None and size > preset.max_bytes:
        found.append(
            Problem(0, f"{size} bytes; {preset.name} takes files of {preset.max_bytes} at most")
        )
    rows = 0
    with path.open("rb") as source:
        for line in source:
            rows += bool(line.strip())
            if rows >= MIN_ROWS:
                return found
    return [*found, Problem(0, f"too few rows: {rows}; at least {MIN_ROWS} are needed")]


def check_shutdown(model: str, payload: Mapping[str, Any], today: date) -> None:
    """Warn of a model that is to be shut down soon; `InputError` for one that has been."""
    try:
        day = date.fromisoformat(str(payload.get("shutdown_date"))[:10])
    except ValueError:
        return
    if day <= today:
        raise InputError(
            f"The service shut the model {model!r} down on {day.isoformat()}.", "Choose another."
        )
    if (day - today).days <= SOON_DAYS:
        log.warning(
            "The service shuts the model %r down on %s, and what is tuned from it with it.",
            model,
            day.isoformat(),
        )


def row_limit(model: str, preset: Preset) -> int | None:
    """Return how many tokens of a row are trained on; None where no limit is known."""
    return _by_name(preset.row_tokens, model)


def estimated(path: Path, spec: JobSpec, preset: Preset, per_million: float | None) -> Estimate:
    """Return tokens and price of training; without `spec.epochs` the service chooses them, and
    neither is known. `per_million` (USD) goes before the preset's prices."""
    summary = check(path, min_rows=0, model=base_name(spec.model))
    counted = f"tokens by {summary.token_counter}"
    if spec.epochs is None:
        return Estimate(
            source=f"{summary.tokens} {counted} in one epoch; the service chooses how many"
        )
    tokens = summary.tokens * spec.epochs
    rate, source = per_million, "the price per million tokens that was given"
    if rate is None:
        rate, source = _by_name(preset.prices, spec.model), preset.price_source
    if rate is None:
        return Estimate(tokens=tokens, source=counted)
    return Estimate(
        price=rate * tokens / 1e6, tokens=tokens, source=f"{source} (${rate:g}); {counted}"
    )


def _by_name(table: Mapping[str, T], model: str) -> T | None:
    """Return the entry whose name the model's begins with, the longest of them."""
    name = base_name(model)
    fits = [key for key in table if name == key or key == "" or name.startswith(f"{key}-")]
    return table[max(fits, key=len)] if fits else None
