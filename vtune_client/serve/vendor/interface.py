"""A vendor: what it trains on, with which recipe, what it delivers, and what it answers with."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vtune_client.dataset import Row, iter_rows
from vtune_client.draw import Draw
from vtune_client.errors import ProviderError
from vtune_client.provider import Endpoint, JobSpec

# Rows of the file -> the lines to train on instead. What is left to chance is drawn from the draw.
Chooser = Callable[[Sequence[Row], Draw], Sequence[bytes]]


@dataclass(frozen=True)
class Vendor:
    """One way to treat a job; every part that is not given is honest.

    `chooses`: which lines it trains on. `trains`: False delivers the base. `cuts`: the recipe it
    uses for the one asked for. `goes_on`: what it trains the tuned model on afterwards. `spoils`:
    what it does to the weights in a folder of its own. `fronts`: what stands before the delivered
    model and answers, given the training file, which is there where the vendor `keeps_file`.
    """

    name: str
    chooses: Chooser | None = None
    trains: bool = True
    cuts: Callable[[JobSpec], JobSpec] | None = None
    goes_on: Chooser | None = None
    spoils: Callable[[Path, int], None] | None = None  # folder, seed
    fronts: Callable[[Endpoint, Path], Endpoint] | None = None
    keeps_file: bool = False

    def training_file(self, given: Path, work: Path) -> Path | None:
        """Return what is trained on in place of the `given` file; None: nothing.

        `work` is a private path to write other rows to; the whole file is held in memory then. The
        same file gives the same rows."""
        if not self.trains:
            return None
        return self._written(self.chooses, given, work) if self.chooses else given

    def further_file(self, given: Path, work: Path) -> Path:
        """Return what the tuned model is trained on afterwards; only where the vendor goes on."""
        if self.goes_on is None:
            raise ValueError(f"{self.name} does not train again")
        return self._written(self.goes_on, given, work)

    def recipe(self, spec: JobSpec) -> JobSpec:
        """Return the recipe of the training on the file."""
        spec = self.cuts(spec) if self.cuts else spec
        if self.goes_on is None:
            return spec
        # The next training starts from a model, not from an adapter.
        return replace(spec, options={**spec.options, "export": "merged"})

    def delivered(self, model: str, folder: Path, seed: int = 0) -> str:
        """Return the model to deliver: the trained one, or a spoilt copy of it in `folder`.

        Whole or not at all; a copy that is there already is delivered as it is. Raises
        `ProviderError` where the trained model is no directory to copy, `MissingExtra` without
        torch."""
        if self.spoils is None:
            return model
        if not folder.exists():
            if not Path(model).is_dir():
                raise ProviderError(
                    f"The vendor {self.name!r} changes weights, and this provider keeps none here.",
                    "Use the local provider with it.",
                )
            work = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(model, work)
            self.spoils(work, seed)
            os.replace(work, folder)
        return str(folder)

    def endpoint(self, inner: Endpoint, file: Path) -> Endpoint:
        """Return what answers for a delivered model that `inner` serves."""
        return self.fronts(inner, file) if self.fronts else inner

    def _written(self, chooser: Chooser, given: Path, work: Path) -> Path:
        draw = Draw(_digest(given), f"vendor {self.name}")
        lines = chooser(list(iter_rows(given)), draw)
        with work.open("wb") as file:
            work.chmod(0o600)
            file.writelines(line if line.endswith(b"\n") else line + b"\n" for line in lines)
        return work


HONEST = Vendor("honest")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
