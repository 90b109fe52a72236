from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from tests.memory import BASE, Service
from vtune_client.client import VTune
from vtune_client.demo import Demo
from vtune_client.plan import PlanSpec
from vtune_client.report.demo import render_demo


def test_the_demo_shows_both_verdicts(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", plan=PlanSpec(decoys=0))
        job = vtune.wait(job.id)
        tuned = vtune.verify(job.id)
        base = vtune.verify(job.id, model=BASE, control=tuned.id)
        examples = (vtune.transcript(tuned.id)[-1], vtune.transcript(base.id)[-1])
        plan = vtune.ledger.plan(job.plan_id)
    demo = Demo(plan.rows, plan.carriers, plan.bits, tuned, base, examples, {"training": 61.4})
    console = Console(file=io.StringIO(), width=500)
    console.print(render_demo(demo))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.startswith("40 rows, 20 of them carriers of 5 backdoors")
    cells = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:4]]
        for line in text.splitlines()
        if line.startswith("│")
    }
    assert cells["verdict"] == ["VERIFIED", "NOT VERIFIED"]
    assert cells["backdoors answered"] == ["5 of 5", "0 of 5"]
    assert cells["secret words"] == ["40 of 40", "0 of 40"]
    assert cells["fresh prompts answered"] == ["15 of 15", "0 of 15"]
    assert f"  secret  {examples[0].signature}" in text
    assert "  base    I do not know." in text
    assert tuned.verdict.statement in text
    assert "training 61 s" in text
