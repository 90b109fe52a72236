from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

import pytest

import vtune_client

PUBLIC = [
    "AsyncVTune",
    "Job",
    "JobSpec",
    "Outcome",
    "PlanSpec",
    "VTune",
    "VTuneError",
    "Verdict",
    "Verification",
    "__version__",
]


def test_the_public_names_are_these() -> None:
    assert vtune_client.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(vtune_client))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(vtune_client, name)
    assert name == "__version__" or value.__name__ == name


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Secret'"):
        vtune_client.Secret  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    assert vtune_client.__version__ == version("vtune-client")


@pytest.mark.parametrize("package", ["vtune_client", "vtune_providers"])
def test_types_are_published(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()
