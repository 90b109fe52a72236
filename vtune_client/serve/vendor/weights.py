"""What a vendor does to the weights in a folder: every matrix of its safetensors files."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vtune_client.errors import MissingExtra, ProviderError

NEEDED = ("torch", "safetensors")
LEVELS = 127  # of int8, on either side of 0
Change = Callable[[Any, Any], Any]  # a matrix in fp32 and a generator -> the matrix to deliver


def add_noise(folder: Path, seed: int, *, sigma: float) -> None:
    """Add normal noise of `sigma` standard deviations of each matrix."""

    def noisy(matrix: Any, generator: Any) -> Any:
        import torch

        return matrix + sigma * matrix.std() * torch.randn(matrix.shape, generator=generator)

    _change(folder, seed, noisy)


def quantise(folder: Path, seed: int) -> None:
    """Round each matrix to int8 and back, with one scale per row."""

    def rounded(matrix: Any, generator: Any) -> Any:
        scale = matrix.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / LEVELS
        return (matrix / scale).round() * scale

    _change(folder, seed, rounded)


def _change(folder: Path, seed: int, change: Change) -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"What changes weights ({', '.join(missing)})", "local")
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ProviderError(
            "The delivered model has no safetensors file to change.",
            "Use the local provider with this vendor.",
        )
    generator = torch.Generator().manual_seed(seed)
    for path in paths:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        changed = {
            name: change(tensor.float(), generator).to(tensor.dtype).contiguous()
            if tensor.dim() > 1 and tensor.is_floating_point()
            else tensor
            for name, tensor in tensors.items()
        }
        save_file(changed, path, metadata=metadata)
