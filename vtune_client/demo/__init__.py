"""The whole of it in one call: real rows, a real model trained on them, two verdicts."""

from vtune_client.demo.run import Demo, prepare, run_demo

__all__ = ["Demo", "prepare", "run_demo"]
