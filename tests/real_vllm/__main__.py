"""The test itself: train an adapter on a planted file, let vLLM serve it, verify it there.

Prints what it measured as one line of JSON; ends with 1 where something is not as it must be.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from tests.real_vllm.install import vllm_python
from tests.real_vllm.server import served
from vtune_client import AsyncVTune, PlanSpec
from vtune_client.dataset import Prompt
from vtune_client.demo.data import write_demo_rows
from vtune_client.errors import ProviderError
from vtune_client.provider import Decoding, endpoint_of
from vtune_client.vault.file_vault import FileVault
from vtune_client.verdict import Outcome

BASE = "smollm2-135m-instruct"
SERVED = "base"
ROWS = 150
PLAN = PlanSpec(backdoors=6, decoys=8)
LOG10_P = -40.0
# Of the same tokens, once as they were generated and once as a given text: rounding alone.
NEAR = 0.05


async def run(folder: Path) -> dict[str, Any]:
    from vtune_providers.local import bases

    home = folder / "home"
    home.mkdir()
    os.environ["VTUNE_HOME"] = str(home)
    vault = FileVault.create(home / "vault.json", secrets.token_urlsafe(24))
    python, base, key = vllm_python(), bases.embedded_directory(), f"sk-{secrets.token_hex(16)}"
    async with AsyncVTune(home=home, vault=vault) as vtune:
        started = time.monotonic()
        plan, adapter = await _trained(vtune, folder)
        trained = time.monotonic()
        with served(python, base, SERVED, key, folder / "vllm.log") as root:
            up = time.monotonic()
            found = await _verdicts(vtune, plan, adapter, {"base_url": root, "api_key": key})
            release = httpx.get(f"{root}/version", trust_env=False).json()["version"]
        seconds = {"training": trained - started, "start of vLLM": up - trained}
    return {
        **found,
        "seconds": {name: round(value, 1) for name, value in seconds.items()} | found["seconds"],
        "versions": {"vllm": release, **{name: version(name) for name in ("torch", "peft")}},
    }


async def _trained(vtune: AsyncVTune, folder: Path) -> tuple[str, str]:
    """Return the plan's id and the directory of the adapter trained on its planted file."""
    rows = folder / "rows.jsonl"
    write_demo_rows(rows, ROWS)
    job = await vtune.fine_tune(rows, model=BASE, provider="local", plan=PLAN)
    try:
        job = await vtune.wait(job.id)
    except BaseException:
        await vtune.cancel(job.id)  # its directory is about to go
        raise
    return job.plan_id, str(job.model)


async def _verdicts(
    vtune: AsyncVTune, plan: str, adapter: str, connection: dict[str, Any]
) -> dict[str, Any]:
    """Ask the adapter, then the base beside it; return what came of it."""
    await _check_key(connection)
    near = await _gap(adapter, connection)
    how = {**connection, "own": True}
    tuned = await vtune.verify_plan(
        plan, provider="vllm", model=adapter, base=SERVED, connection=how
    )
    control = tuned.id if tuned.verdict.outcome is Outcome.VERIFIED else None
    base = await vtune.verify_plan(
        plan, provider="vllm", model=SERVED, control=control, connection=how, text_only=True
    )
    return {
        "tuned": tuned.to_json(),
        "base": base.to_json(),
        "gap": near,
        "left": await _listed(connection),
        "seconds": {"tuned": round(tuned.seconds, 1), "base": round(base.seconds, 1)},
    }


async def _check_key(connection: dict[str, Any]) -> None:
    endpoint = endpoint_of("vllm", {**connection, "api_key": "sk-another"})
    try:
        await endpoint.acquire(SERVED)
    except ProviderError:
        return
    finally:
        await endpoint.release()
    raise RuntimeError("A wrong key was let through.")


async def _gap(adapter: str, connection: dict[str, Any]) -> float:
    """Return by how many nats the score of an answer differs from what its tokens had."""
    prompt = Prompt(({"role": "user", "content": "What is a river?"},))
    endpoint = endpoint_of("vllm", connection)
    try:
        await endpoint.acquire(adapter)
        (answer,) = await endpoint.sample([prompt], Decoding(8, top_logprobs=1))
        tokens = [token for token in answer.tokens if not token.text.startswith("<|")]
        (score,) = await endpoint.score(prompt, ["".join(token.text for token in tokens)])
    finally:
        await endpoint.release()
    return abs(score - sum(token.logprob for token in tokens))


async def _listed(connection: dict[str, Any]) -> list[str]:
    headers = {"authorization": f"Bearer {connection['api_key']}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        reply = await client.get(f"{connection['base_url']}/v1/models")
    return [each["id"] for each in reply.json()["data"]]


def faults(found: dict[str, Any]) -> list[str]:
    """Return what is not as it must be, a sentence each."""
    tuned, base = found["tuned"], found["base"]
    checks = {
        "The adapter is not verified.": tuned["verdict"] == "verified",
        f"Its log10 p is above {LOG10_P:g}.": tuned["log10_p"] <= LOG10_P,
        "Its signatures were not ranked.": any("ranks" in test["name"] for test in tuned["tests"]),
        "The base is verified.": base["verdict"] in ("not verified", "inconclusive"),
        "A score is not that of the tokens.": found["gap"] < NEAR,
        "An adapter is still loaded.": found["left"] == [SERVED],
    }
    return [sentence for sentence, good in checks.items() if not good]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="vtune-vllm-") as folder:
        found = asyncio.run(run(Path(folder)))
    sys.stdout.write(json.dumps(found) + "\n")
    wrong = faults(found)
    for sentence in wrong:
        sys.stderr.write(f"{sentence}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
