"""The local provider: trains for real with transformers and peft, and serves what it trained."""

from __future__ import annotations

from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from vtune_client.errors import MissingExtra
from vtune_client.provider import Endpoint, Provider, Trainer

NEEDED = ("torch", "transformers", "peft", "accelerate", "safetensors", "gguf")


def provider() -> Provider:
    return Provider(
        name="local",
        summary="trains and serves on this machine (torch, transformers, peft)",
        trainer=_trainer,
        endpoint=_endpoint,
        recorded=frozenset(),
    )


def _trainer(*, root: str | PathLike[str] | None = None) -> Trainer:
    """`root` is where files and runs lie, in place of `VTUNE_HOME/local`."""
    _require_extra()
    from vtune_providers.local.trainer import LocalTrainer

    return LocalTrainer(Path(root) if root is not None else None)


def _endpoint() -> Endpoint:
    _require_extra()
    from vtune_providers.local.endpoint import LocalEndpoint

    return LocalEndpoint()


def _require_extra() -> None:
    # Looked for, not imported: importing torch takes seconds, and the client never needs it.
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"What the local provider trains with ({', '.join(missing)})", "local")
