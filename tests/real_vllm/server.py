"""A real vLLM server for as long as a `with` lasts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

START_S = 300.0
STOP_S = 30.0
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
}


@contextmanager
def served(python: Path, model: Path, name: str, key: str, log: Path) -> Iterator[str]:
    """Serve `model` as `name` on a free port of this machine, guarded by `key`; yield its root URL.

    What it prints goes to `log`. Raises `RuntimeError` where it does not come up."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    command = [
        *(str(python), "-m", "vllm.entrypoints.cli.main", "serve", str(model)),
        *("--served-model-name", name, "--host", "127.0.0.1", "--port", port),
        *("--dtype", "float32", "--max-model-len", "1024", "--enforce-eager"),
        *("--enable-lora", "--max-lora-rank", "16"),
    ]
    # The environment's own name for --api-key, which everybody on the machine could read.
    environment = {**os.environ, **_ENVIRONMENT, "VLLM_API_KEY": key}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        root = f"http://127.0.0.1:{port}"
        _wait(process, root, log)
        yield root
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], root: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{root}/health", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"vLLM did not come up:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server with its workers, which are in its process group."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
