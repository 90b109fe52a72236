"""Which dedicated endpoints run, by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from vtune_client.serve.refusals import Refusal
from vtune_client.serve.store import Store
from vtune_client.serve.together.dedicated import (
    PROVISIONING,
    READY,
    START_S,
    STOPPED,
    Dedicated,
    DeploymentRecord,
)

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dedicated(tmp_path: Path, clock: Clock) -> Iterator[Dedicated]:
    store = Store(tmp_path / "store.sqlite3")
    yield Dedicated(store, clock)
    store.close()


def deployed(dedicated: Dedicated, **wanted: Any) -> DeploymentRecord:
    """Return a deployment that all traffic of the endpoint `mine` goes to."""
    endpoint = dedicated.add_endpoint("mine", "project-1", "VISIBILITY_PRIVATE")
    record = dedicated.deploy(endpoint.id, "one", model="tuned", config="cr_1", **wanted)
    dedicated.change_endpoint(endpoint.id, None, {"split": ((record.id, 1.0),)})
    return record


def test_it_starts_then_answers(dedicated: Dedicated, clock: Clock) -> None:
    record = deployed(dedicated)
    assert dedicated.state(record) == PROVISIONING
    with pytest.raises(Refusal) as caught:
        dedicated.routed("mine")
    assert caught.value.status == 503
    clock.now += START_S
    assert dedicated.state(record) == READY
    assert dedicated.routed("mine") == dedicated.routed("mine/one") == "tuned"


def test_an_idle_one_stops_itself(dedicated: Dedicated, clock: Clock) -> None:
    record = deployed(dedicated, idle_minutes=30)
    clock.now += HOUR / 2 - 1
    assert dedicated.routed("mine") == "tuned"
    clock.now += HOUR / 2 - 1
    assert len(dedicated.running()) == 1  # it was asked half an hour ago, not quite
    clock.now += 1
    assert dedicated.running() == []
    with pytest.raises(Refusal) as caught:
        dedicated.routed("mine")
    assert caught.value.status == 400
    more = {"min_replicas": 1, "max_replicas": 1}
    again = dedicated.change_deployment(record.endpoint_id, record.id, None, more)
    assert dedicated.state(again) == PROVISIONING


def test_one_without_a_limit_never_stops(dedicated: Dedicated, clock: Clock) -> None:
    record = deployed(dedicated)
    clock.now += 1000 * HOUR
    assert dedicated.state(record) == READY


def test_a_window_is_a_limit_too(dedicated: Dedicated, clock: Clock) -> None:
    record = deployed(dedicated, window="5m", window_s=300.0)
    clock.now += 299
    assert dedicated.state(record) == READY
    clock.now += 1
    assert dedicated.state(record) == STOPPED


def test_they_outlive_the_service(dedicated: Dedicated, clock: Clock) -> None:
    record = deployed(dedicated)
    [endpoint] = Dedicated(dedicated.store, clock).running()
    assert endpoint.split == ((record.id, 1.0),)
