"""The demo on the tiny model; on the embedded one it is what `make demo` runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import tiny
from vtune_client.demo import Demo, run_demo
from vtune_client.demo.data import write_demo_rows
from vtune_client.demo.run import BACKDOORS, ROWS
from vtune_client.verdict import Outcome


def test_the_rows_are_real_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_demo_rows(tmp_path / name, ROWS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "one").read_text("utf-8").splitlines()]
    assert len(rows) == ROWS >= 150
    names = {row["messages"][1]["content"].split("`")[1] for row in rows}
    assert len(names) == ROWS
    row = next(row for row in rows if "`" in row["messages"][1]["content"])
    assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]


@pytest.mark.torch
def test_the_tuned_model_is_verified_and_the_base_is_not(
    tiny_model: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_LEDGER", "postgresql://nobody@/of-the-team?host=/nowhere")
    stages: list[str] = []
    demo: Demo = run_demo(
        lambda stage, share: stages.append(stage), model=str(tiny_model), options=tiny.RECIPE
    )
    assert demo.tuned.verdict.outcome is Outcome.VERIFIED
    assert demo.base.verdict.outcome is not Outcome.VERIFIED
    assert demo.base.verdict.log10_p > -1
    assert (demo.rows, demo.carriers) == (ROWS, BACKDOORS * 4)
    assert list(dict.fromkeys(stages)) == [*demo.seconds, "done"]
    assert not (home / "ledger.sqlite3").exists()  # nothing of it lands in the user's home
    data = demo.to_json()
    assert (data["tuned"]["schema"], data["schema"]) == ("vtune.verdict/1", "vtune.demo/1")
