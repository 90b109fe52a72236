"""Verify a model that somebody else serves behind an OpenAI-compatible API.

    vtune plant train.jsonl --out planted.jsonl    # prints the plan; have planted.jsonl trained on
    VTUNE_API_KEY=... python examples/verify_endpoint.py plan-5e6f7a8b \\
        https://vendor.example/v1 my-tuned-model

The exit code is 0 where the model is verified.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from vtune_client import VTune


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify a served model.")
    parser.add_argument("plan", help="the plan of the planted file")
    parser.add_argument("url", help="base URL of the service, usually ending in /v1")
    parser.add_argument("model", help="the model's name there")
    given = parser.parse_args(argv)
    with VTune() as vtune:
        result = vtune.verify_plan(
            given.plan,
            provider="chat",
            model=given.model,
            connection={"base_url": given.url},
            budget=200,
        )
    print(f"{result.verdict.outcome}: {result.verdict.statement}")
    return 0 if result.verdict.outcome == "verified" else 1


if __name__ == "__main__":
    sys.exit(main())
