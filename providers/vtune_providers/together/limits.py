"""What a model may be trained with: the service's own limits, and what in a spec goes past them.

Shape: `together/types/finetune_model_limits.py` (`GET /v1/fine-tunes/models/limits`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vtune_client.provider import JobSpec
from vtune_providers.together import recipe

RANK = 8  # where the service names no default of the model


@dataclass(frozen=True)
class Limits:
    """The limits of one model; `said` is the service's answer."""

    said: Mapping[str, Any]

    @property
    def default_rank(self) -> int:
        return _whole(self._lora.get("default_rank")) or RANK

    def row_tokens(self, method: str = "supervised") -> int | None:
        key = "max_seq_length_dpo" if method == "dpo" else "max_seq_length_sft"
        return _whole(self.said.get(key))

    def faults(self, spec: JobSpec) -> Iterator[str]:
        """Yield what in the spec the service would refuse."""
        said = self.said
        yield from _outside("epochs", spec.epochs or recipe.EPOCHS, 1, said.get("max_num_epochs"))
        if spec.learning_rate is not None:
            yield from _outside(
                "the learning rate",
                spec.learning_rate,
                said.get("min_learning_rate"),
                said.get("max_learning_rate"),
            )
        full = recipe.is_full(spec)
        if full and said.get("supports_full_training") is False:
            yield "this model is trained with LoRA alone"
        yield from self._batch(spec, full=full)
        yield from self._options(spec, full=full)

    def _batch(self, spec: JobSpec, *, full: bool) -> Iterator[str]:
        if spec.batch_size is None:
            return
        trained = self.said.get("full_training") if full else self._lora
        trained = trained if isinstance(trained, Mapping) else {}
        most = trained.get("max_batch_size_dpo" if spec.method == "dpo" else "max_batch_size")
        yield from _outside("the batch size", spec.batch_size, trained.get("min_batch_size"), most)

    def _options(self, spec: JobSpec, *, full: bool) -> Iterator[str]:
        options, said = spec.options, self.said
        most = {"n_checkpoints": "max_num_checkpoints", "n_evals": "max_num_evals"}
        for name, limit in most.items():
            yield from _outside(name, options.get(name), 0, said.get(limit))
        if not full:
            yield from _outside("lora_r", options.get("lora_r"), 1, self._lora.get("max_rank"))
        length = self.row_tokens(spec.method)
        shortest = said.get("min_max_seq_length")
        yield from _outside("max_seq_length", options.get("max_seq_length"), shortest, length)

    @property
    def _lora(self) -> Mapping[str, Any]:
        found = self.said.get("lora_training")
        return found if isinstance(found, Mapping) else {}


def _outside(what: str, value: Any, least: Any, most: Any) -> Iterator[str]:
    """Yield a sentence where a number is not between the limits; 0 is none that the service set."""
    if not isinstance(value, int | float):
        return
    if isinstance(least, int | float) and value < least:
        yield f"{what} must be at least {least:g}, and {value:g} is asked for"
    if isinstance(most, int | float) and 0 < most < value:
        yield f"{what} can be {most:g} at most, and {value:g} are asked for"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
