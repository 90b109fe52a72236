"""How a provider is reached: kept with the job but for what is secret, and checked before use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memory import BASE, Service
from vtune_client import VTune
from vtune_client.errors import InputError
from vtune_client.provider import endpoint_of, recordable, trainer_of

URL = "http://one.test/v1"


def test_a_job_remembers_where_it_was_started_and_forgets_the_key(
    home: Path, rows: Path, memory: Service
) -> None:
    how = {"base_url": URL, "api_key": "a key"}
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", connection=how)
        assert vtune.ledger.job(job.id).connection == {"base_url": URL}
    assert b"a key" not in b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    with VTune() as vtune:
        vtune.wait(job.id)
        vtune.verify(job.id, connection={"api_key": "another"}, text_only=True)
    assert memory.connections[0] == (URL, "a key")
    assert memory.connections[1] == (URL, None)
    assert set(memory.connections[2:]) == {(URL, "another")}


def test_a_verification_says_where_it_asked(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", connection={"base_url": URL})
        vtune.wait(job.id)
        assert vtune.verify(job.id).target.endpoint == URL


def test_a_keyword_nobody_takes_is_named(memory: Service) -> None:
    with pytest.raises(InputError, match="'memory' takes no 'colour', 'size'") as caught:
        trainer_of("memory", {"colour": 1, "base_url": URL, "size": 2})
    assert "api_key, base_url" in caught.value.advice
    assert memory.connections == []


def test_a_half_that_is_not_there_is_an_error(memory: Service) -> None:
    with pytest.raises(InputError, match="'oracle' does not train"):
        trainer_of("oracle", {})
    with pytest.raises(InputError, match="'school' serves no models"):
        endpoint_of("school", {})


def test_only_what_a_provider_calls_public_is_recorded(memory: Service) -> None:
    assert recordable("memory", {"base_url": URL, "api_key": "a key"}) == {"base_url": URL}
