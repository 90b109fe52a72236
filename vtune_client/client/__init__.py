"""The Python face: `AsyncVTune`, and `VTune`, the same without `await`."""

from vtune_client.client.asynchronous import AsyncVTune, Exchange
from vtune_client.client.synchronous import VTune

__all__ = ["AsyncVTune", "Exchange", "VTune"]
