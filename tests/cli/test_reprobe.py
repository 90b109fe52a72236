"""A re-audit from the shell: `--reserve`, and then `vtune reprobe`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.memory import BASE, Service
from vtune_client.provider import EndpointCapabilities

OPTIONS = ("--backdoors", 4, "--dose", 2, "--decoys", 20)
HOSTED = EndpointCapabilities(batch=8, scores=True, remembers=True)
JSON = ("--format", "json")


@pytest.fixture
def verified(cli: Cli, home: Path, rows: Path, memory: Service) -> str:
    """A verification of a plan with a reserve, at a service that remembers."""
    memory.capabilities = HOSTED
    tuned = cli(
        *("fine-tune", rows, "--model", BASE, "--provider", "memory", "--wait"),
        *(*OPTIONS, "--reserve", 3, *JSON),
    )
    return str(cli("verify", tuned.json["job"], *JSON).json["id"])


def test_the_reserve_is_planted_with_the_rest(cli: Cli, home: Path, rows: Path) -> None:
    ran = cli("plant", rows, *OPTIONS, "--reserve", 3, *JSON)
    assert (ran.json["backdoors"], ran.json["carriers"]) == (7, 14)
    assert "3 backdoors more are kept in reserve" in ran.json["foresight"][-1]


def test_the_reserve_is_asked_once(cli: Cli, verified: str) -> None:
    ran = cli("reprobe", verified, *JSON)
    assert (ran.code, ran.json["verdict"], ran.json["reprobes"]) == (0, "verified", verified)
    assert (ran.json["backdoors"], ran.json["activated"]) == (3, 3)
    assert f"its reserve, after {verified}" in cli("report", ran.json["id"]).out
    again = cli("reprobe", verified)
    assert again.code == 2
    assert "prove nothing any more" in again.err
    assert again.out == ""


def test_exit_codes_are_those_of_a_verification(cli: Cli, verified: str) -> None:
    ran = cli("reprobe", verified, "--model", BASE, "--text-only")
    assert ran.code == 3
    assert ran.out.startswith("INCONCLUSIVE")
    assert cli("reprobe", "verification-unknown").code == 2
