"""Which recipe a job spec means."""

from __future__ import annotations

from typing import Any

import pytest

from vtune_client.errors import InputError
from vtune_client.provider import JobSpec
from vtune_providers.local.recipe import recipe_for


def test_own_fields_beat_options_beat_the_bases_recipe_beat_defaults() -> None:
    plain = recipe_for(JobSpec("some/model"))
    assert (plain.epochs, plain.batch_size, plain.layers) == (3, 8, "all")
    embedded = recipe_for(JobSpec("SmolLM2-135M-Instruct"))
    assert (embedded.batch_size, embedded.layers, embedded.learning_rate) == (2, "top-half", 3e-3)
    options = {"batch_size": 4, "epochs": 5, "rank": 8}
    given = recipe_for(JobSpec("smollm2-135m-instruct", epochs=1, seed=9, options=options))
    assert (given.epochs, given.batch_size, given.rank, given.seed) == (1, 4, 8, 9)
    assert given.layers == "top-half"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"learning_rat": 1e-3}, "learning_rat"),
        ({"method": "qlora"}, "method"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"dropout": 1.0}, "dropout"),
        ({"launcher": "accelerate launch"}, "launcher"),
    ],
)
def test_unusable_option_is_named(options: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=f"option '{name}' is not usable: .*knows: alpha, batch"):
        recipe_for(JobSpec("some/model", options=options))
