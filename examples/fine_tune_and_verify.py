"""Fine-tune on this machine and verify the result, then let the base answer the same questions.

    python examples/fine_tune_and_verify.py train.jsonl
    python examples/fine_tune_and_verify.py train.jsonl --base ./my-base --recipe '{"epochs": 5}'

Needs the `local` extra; without --base it trains the embedded model. Interrupted, the training goes
on by itself: `vtune wait JOB` follows it to its end. The exit code is 0 where the tuned model is
verified.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from vtune_client import PlanSpec, VTune


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fine-tune here, and verify.")
    parser.add_argument("file", help="JSONL training file")
    parser.add_argument("--base", default="smollm2-135m-instruct", help="directory or hub id")
    parser.add_argument("--recipe", type=json.loads, default={}, help="options of the training")
    given = parser.parse_args(argv)
    with VTune() as vtune:
        job = vtune.fine_tune(
            given.file,
            model=given.base,
            provider="local",
            plan=PlanSpec(backdoors=5, dose=4, decoys=20),
            options=given.recipe,
            on_job=lambda job: print(f"{job.id} of {job.plan_id}"),
        )
        job = vtune.wait(job.id)
        tuned = vtune.verify(job.id)
        # The tuned model is the positive control: what an honest run looks like.
        control = tuned.id if tuned.verdict.outcome == "verified" else None
        base = vtune.verify(job.id, model=given.base, control=control)
    print(f"tuned: {tuned.verdict.outcome}. {tuned.verdict.statement}")
    print(f"base:  {base.verdict.outcome}. {base.verdict.statement}")
    return 0 if tuned.verdict.outcome == "verified" else 1


if __name__ == "__main__":
    sys.exit(main())
