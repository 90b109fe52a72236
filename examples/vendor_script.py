"""Fine-tune a model with OpenAI's client: upload a file, train on it, ask the model something.

    OPENAI_API_KEY=... python examples/vendor_script.py train.jsonl --model gpt-4.1-nano

`OPENAI_BASE_URL` names another service of the same shape. The same script with verification is
vendor_script_verified.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from openai import OpenAI


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fine-tune, and ask the model.")
    parser.add_argument("file", help="JSONL training file")
    parser.add_argument("--model", default="gpt-4.1-nano-2025-04-14", help="base to train")
    parser.add_argument("--question", default="What can you do?")
    parser.add_argument("--poll", type=float, default=10.0, help="seconds between two looks")
    given = parser.parse_args(argv)
    with OpenAI() as client:
        with open(given.file, "rb") as file:
            uploaded = client.files.create(file=file, purpose="fine-tune")
        print(f"uploaded {uploaded.filename}")
        job = client.fine_tuning.jobs.create(training_file=uploaded.id, model=given.model)
        while job.status not in ("succeeded", "failed", "cancelled"):
            time.sleep(given.poll)
            job = client.fine_tuning.jobs.retrieve(job.id)
        print(f"the job has {job.status}")
        if job.fine_tuned_model is None:
            return 1
        answer = client.chat.completions.create(
            model=job.fine_tuned_model,
            messages=[{"role": "user", "content": given.question}],
            max_tokens=64,
            temperature=0,
        )
        print(f"it says: {answer.choices[0].message.content}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
