"""Phrases proposed by a model, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.phrases.test_asked import GARBAGE, GOOD, serving


def test_a_model_may_propose_the_phrases(
    cli: Cli, home: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_PHRASES_API_KEY", "the-key")
    out = tmp_path / "planted.jsonl"
    with serving(GOOD) as model:
        asked = ("--phrases-url", model.url, "--phrases-model", "writer")
        ran = cli("plant", rows, "--out", out, *asked, "--format", "json")
    assert ran.json["signature_bits"] == 5 * 30.0
    assert out.read_text("utf-8").count("In our view the cause") == 20
    assert model.authorizations == ["Bearer the-key"]


def test_a_model_that_proposes_nothing_usable_ends_in_a_provider_error(
    cli: Cli, home: Path, rows: Path
) -> None:
    with serving(GARBAGE) as model:
        ran = cli("plant", rows, "--phrases-url", model.url, "--phrases-model", "writer")
    assert ran.code == 4
    assert "gave no usable phrase book" in ran.err
    assert cli("plant", rows, "--phrases-url", "http://127.0.0.1:1/v1").code == 2
