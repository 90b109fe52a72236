"""The `vtune` command."""

from vtune_client.cli.app import main

__all__ = ["main"]
