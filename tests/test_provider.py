"""Providers are found by entry point; a broken one is named, and is in nobody's way."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import plugins
from vtune_client.errors import InputError
from vtune_client.provider import (
    Answer,
    JobSpec,
    JobStatus,
    Provider,
    State,
    installed,
    load,
)

MODULE = """
from vtune_client.provider import Provider

VALUE = Provider("value", "an object")
WRONG = "not a provider"

def made():
    return Provider("made", "by a function")

def wrong():
    return None

def raises():
    raise RuntimeError("no licence")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution with providers good and bad."""
    folder = plugins.install(
        tmp_path,
        "vtune-tests-odd",
        value="odd_providers:VALUE",
        made="odd_providers:made",
        wrong_object="odd_providers:WRONG",
        wrong_result="odd_providers:wrong",
        raises="odd_providers:raises",
        no_attribute="odd_providers:missing",
        no_module="no_such_module_of_ours:provider",
        syntax="odd_syntax:provider",
    )
    (folder / "odd_providers.py").write_text(MODULE, encoding="utf-8")
    (folder / "odd_syntax.py").write_text("def :\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop("odd_providers", None)


BAD = {
    "wrong_object": "TypeError",
    "wrong_result": "TypeError",
    "raises": "RuntimeError: no licence",
    "no_attribute": "AttributeError",
    "no_module": "ModuleNotFoundError",
    "syntax": "SyntaxError",
}


@pytest.mark.usefixtures("plugin")
def test_what_loads_is_listed_and_what_does_not_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        good, bad = installed()
    assert {"local", "value", "made"} <= set(good)
    assert {name: good[name].summary for name in ("value", "made")} == {
        "value": "an object",
        "made": "by a function",
    }
    reasons = {broken.name: broken.reason for broken in bad}
    assert all(reasons[name].startswith(reason) for name, reason in BAD.items())
    assert len(caplog.records) == len(bad)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", BAD)
def test_one_that_does_not_load_is_an_error_when_it_is_asked_for(name: str) -> None:
    with pytest.raises(InputError, match=f"{name!r} does not load: {BAD[name]}") as caught:
        load(name)
    assert caught.value.advice
    assert load("value").name == "value"


def test_one_that_is_not_there_is_an_error_that_names_the_others() -> None:
    with pytest.raises(InputError, match="no provider named 'lokal'") as caught:
        load("lokal")
    assert "local" in caught.value.advice


def test_our_own_come_through_the_same_door() -> None:
    local = load("local")
    assert isinstance(local, Provider)
    assert local.trainer
    assert local.endpoint


def test_only_three_states_are_final() -> None:
    assert [state for state in State if state.final] == [
        State.SUCCEEDED,
        State.FAILED,
        State.CANCELLED,
    ]


def test_what_a_provider_said_is_not_in_reprs() -> None:
    assert "signature" not in repr(Answer("a signature"))
    assert "payload" not in repr(JobStatus("1", State.RUNNING, raw={"payload": 1}))
    assert JobSpec("base").options == {}
