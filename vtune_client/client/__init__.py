"""The Python face: `AsyncVTune`, and `VTune`, the same without `await`."""

from vtune_client.client.asynchronous import AsyncVTune
from vtune_client.client.synchronous import VTune
from vtune_client.client.transcript import Exchange

__all__ = ["AsyncVTune", "Exchange", "VTune"]
