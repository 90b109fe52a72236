"""The local provider: trains for real with transformers and peft, and serves what it trained."""

from __future__ import annotations

from vtune_client.provider import Endpoint, Provider, Trainer


def provider() -> Provider:
    return Provider(
        name="local",
        summary="trains and serves on this machine (torch, transformers, peft)",
        trainer=_trainer,
        endpoint=_endpoint,
    )


def _trainer() -> Trainer:
    from vtune_providers.local.trainer import LocalTrainer

    return LocalTrainer()


def _endpoint() -> Endpoint:
    from vtune_providers.local.endpoint import LocalEndpoint

    return LocalEndpoint()
