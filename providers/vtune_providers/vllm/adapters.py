"""Adapters come and go while a server runs.

https://docs.vllm.ai/en/stable/features/lora.html: `POST /v1/load_lora_adapter`, which a server has
that was started with `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1. It reads the adapter
from its own disk.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from vtune_client.errors import InputError, ProviderError, VTuneError
from vtune_providers.chat.connection import Connection
from vtune_providers.chat.failures import Asked, failure, spoken
from vtune_providers.chat.wire import Reply

log = logging.getLogger(__name__)
LOAD, UNLOAD = "/load_lora_adapter", "/unload_lora_adapter"
_NO_ROUTE = b'"Not Found"'  # what FastAPI says of a path that it does not have


def adapter_folder(model: str) -> Path | None:
    """Return the directory that `model` names, None where it names none here.

    Raises `InputError` for a directory without an adapter in it."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    if not (folder / "adapter_config.json").is_file():
        raise InputError(
            f"{model} holds no adapter: there is no adapter_config.json in it.",
            "A whole model is served from a vLLM server's start: give the name it has there.",
        )
    return folder.resolve()


def fresh_name() -> str:
    """Return a name that no server has seen: what it has cached is found by the adapter's name, and
    stays when an adapter goes."""
    return f"vtune-{secrets.token_hex(8)}"


async def load(connection: Connection, name: str, folder: Path) -> None:
    """Let one server load the adapter. Raises `ProviderError` where it does not."""
    body = {"lora_name": name, "lora_path": str(folder)}
    reply = await connection.send("POST", LOAD, body)
    if not reply.ok:
        raise _refused(reply, connection, folder)


async def unload(connection: Connection, name: str) -> None:
    """Let one server forget the adapter; one that is not there is no error.

    A server that does not is named in the log: the round is over all the same."""
    try:
        reply = await connection.send("POST", UNLOAD, {"lora_name": name})
    except VTuneError as error:
        _left(connection, name, error.message)
        return
    if not reply.ok and reply.status != 404:
        _left(connection, name, f"HTTP {reply.status}")


def _left(connection: Connection, name: str, why: str) -> None:
    log.warning("The adapter %s may still be loaded at %s: %s", name, connection.url, why)


def _refused(reply: Reply, connection: Connection, folder: Path) -> VTuneError:
    asked = Asked(folder.name, private=connection.private)
    said = spoken(reply, asked)
    if reply.status in (404, 405) and (_NO_ROUTE in reply.body or reply.status == 405):
        return ProviderError(
            f"The server takes no adapters while it runs (HTTP {reply.status}).",
            "Start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, or with "
            "--lora-modules, and name the adapter as it is served.",
        )
    if reply.status in (400, 404):
        return ProviderError(
            f"The server does not load the adapter {folder.name!r} (HTTP {reply.status}){said}.",
            f"It reads from its own disk: {folder} must be the same directory there.",
        )
    if reply.status == 500:
        # Asking again does not help: too high a rank, say, or another base.
        return ProviderError(
            f"The server cannot use the adapter {folder.name!r} (HTTP 500){said}.",
            "See that it was trained on the base that is served, and that its rank is within the "
            "server's --max-lora-rank.",
        )
    return failure(reply, asked)
