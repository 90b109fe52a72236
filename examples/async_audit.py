"""Audit several deliveries of one planted file, at once, against an honest run of our own.

    python examples/async_audit.py plan-5e6f7a8b ./our-own-run ./from-vendor-a ./from-vendor-b

All are model directories; the first is the control, which has to verify before silence of the
others can mean anything. The exit code is 0 where every delivery is verified.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from vtune_client import AsyncVTune, Verification


async def audit(plan: str, control: str, deliveries: Sequence[str]) -> list[Verification]:
    """Return a verification of every delivery, judged beside the control's."""
    async with AsyncVTune() as vtune:
        honest = await vtune.verify_plan(plan, model=control)
        print(f"{control}: {honest.verdict.outcome} (control)")
        rounds = [
            vtune.verify_plan(plan, model=delivery, control=honest.id) for delivery in deliveries
        ]
        return list(await asyncio.gather(*rounds))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Audit deliveries of one planted file.")
    parser.add_argument("plan")
    parser.add_argument("control", help="a model we trained on the planted file ourselves")
    parser.add_argument("deliveries", nargs="+")
    given = parser.parse_args(argv)
    results = asyncio.run(audit(given.plan, given.control, given.deliveries))
    for delivery, result in zip(given.deliveries, results, strict=True):
        print(f"{delivery}: {result.verdict.outcome}. {result.verdict.statement}")
    return 0 if all(result.verdict.outcome == "verified" for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
