"""Files on their way to the service: sent whole or in parts, and waited for.

https://platform.openai.com/docs/api-reference/files and .../uploads.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from vtune_client.errors import InputError, NotYet, ProviderError, VTuneError
from vtune_providers.openai.client import Service
from vtune_providers.openai.failures import Doing
from vtune_providers.openai.presets import MIB
from vtune_providers.openai.words import plain

log = logging.getLogger(__name__)
PURPOSE, KIND = "fine-tune", "text/jsonl"
PART = 64 * MIB  # bytes, the most that a part may have
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
_READY = ("processed", "succeeded")
_BAD = ("error", "failed", "deleted", "deleting")


async def upload(service: Service, path: Path, name: str) -> str:
    """Send the file under `name` and return its id."""
    parts_above = service.settings.preset.parts_above
    try:
        size = path.stat().st_size
        if parts_above is not None and size > parts_above:
            return await _in_parts(service, path, name, size)
        content = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise InputError(
            f"The training file cannot be read: {error.strerror}.", "Check that it is there."
        ) from error
    doing = Doing("take the file")
    file = await service.payload(
        lambda sdk: sdk.files.with_raw_response.create(file=(name, content, KIND), purpose=PURPOSE),
        doing,
    )
    return _id(file)


async def _in_parts(service: Service, path: Path, name: str, size: int) -> str:
    doing = Doing("take a file in parts")
    started = await service.payload(
        lambda sdk: sdk.uploads.with_raw_response.create(
            bytes=size, filename=name, mime_type=KIND, purpose=PURPOSE
        ),
        doing,
    )
    upload_id = _id(started)
    try:
        parts, digest = [], hashlib.md5(usedforsecurity=False)
        async for data in _blocks(path):
            digest.update(data)
            part = await _send_part(service, upload_id, data)
            parts.append(_id(part))
        whole = await service.payload(
            lambda sdk: sdk.uploads.with_raw_response.complete(
                upload_id, part_ids=parts, md5=digest.hexdigest()
            ),
            Doing("put the parts of the file together"),
        )
    except BaseException:
        await _cancel(service, upload_id)
        raise
    file = whole.get("file")
    return _id(file if isinstance(file, dict) else {})


async def _send_part(service: Service, upload_id: str, data: bytes) -> Mapping[str, Any]:
    return await service.payload(
        lambda sdk: sdk.uploads.parts.with_raw_response.create(upload_id, data=data),
        Doing("take a part of the file"),
    )


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while block := await asyncio.to_thread(source.read, PART):
            yield block


async def _cancel(service: Service, upload_id: str) -> None:
    """Have the service forget the parts it has; it does so by itself within the hour."""
    try:
        await service.payload(
            lambda sdk: sdk.uploads.with_raw_response.cancel(upload_id),
            Doing("cancel an upload", f"upload {upload_id!r}"),
        )
    except VTuneError as error:
        log.warning("the upload %s was not cancelled: %s", upload_id, error)


async def wait_for(service: Service, file_id: str, timeout_s: float) -> None:
    """Return once the file may be trained on.

    A service that is slow to validate says "uploaded" all the while, and some never say more than
    that at all: `NotYet` after `timeout_s`. `ProviderError` where the file is refused. A status
    that nobody knows is waited out; none at all is taken for yes, since OpenAI deprecates it."""
    doing = Doing("look at the file", f"file {file_id!r}")
    deadline = asyncio.get_running_loop().time() + timeout_s
    pause = FIRST_PAUSE_S
    while True:
        file = await service.payload(
            lambda sdk: sdk.files.with_raw_response.retrieve(file_id), doing
        )
        status = str(file.get("status") or "processed").lower()
        if status in _READY:
            return
        if status in _BAD:
            raise ProviderError(
                f"The service refuses the file {file_id} ({status}){_details(file)}.",
                "Mend the file and start again.",
            )
        if asyncio.get_running_loop().time() >= deadline:
            raise NotYet(
                f"After {timeout_s:g} s the service has not said that the file {file_id} may be "
                f"used; its status is {plain(status)!r}.",
                "Try again later, or give more time with file_timeout_s.",
            )
        await asyncio.sleep(min(pause, timeout_s))
        pause = min(pause * 1.5, LONGEST_PAUSE_S)


async def created_at(service: Service, file_id: str) -> float | None:
    """Return when the file was uploaded, in seconds by the service's clock; None: it says not."""
    try:
        file = await service.payload(
            lambda sdk: sdk.files.with_raw_response.retrieve(file_id),
            Doing("look at the file", f"file {file_id!r}"),
        )
    except ProviderError:
        return None
    when = file.get("created_at")
    return float(when) if isinstance(when, int | float) else None


def _details(file: Mapping[str, Any]) -> str:
    said = plain(file.get("status_details")).rstrip(".")
    return f": {said}" if said else ""


def _id(payload: Mapping[str, Any]) -> str:
    found = payload.get("id")
    if not isinstance(found, str) or not found:
        raise ProviderError(
            "The service took what was sent and gave no id for it.", "Check the base URL."
        )
    return found
