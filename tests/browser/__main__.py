"""Make the picture of the documentation: python -m tests.browser docs/images/report.png

Trains the tiny model of the tests on a planted file, verifies it and takes a picture of the top of
the report."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import FloatRect

from tests import tiny
from tests.browser.chromium import browser, visit
from vtune_client import PlanSpec, VTune
from vtune_client.report.gather import gather
from vtune_client.report.html import html
from vtune_client.vault.file_vault import Cost, FileVault

SPEC = PlanSpec(backdoors=6, dose=4, decoys=40, fresh_prompts=2)


def page_of_a_real_run(folder: Path) -> Path:
    FileVault.create(folder / "vault.json", "of the picture", cost=Cost(n=16, r=8, p=1))
    os.environ["VTUNE_VAULT_PASSPHRASE"] = "of the picture"
    os.environ["VTUNE_VAULT"] = "file"
    os.environ["VTUNE_HOME"] = str(folder)
    model = tiny.make_model(folder / "tiny-llama")
    rows = tiny.write_rows(folder / "rows.jsonl", 80)
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=str(model), plan=SPEC, options=tiny.RECIPE)
        vtune.wait(job.id)
        result = vtune.verify(job.id)
        report = gather(vtune.ledger, result.id)
    # Where the tiny model lay is of no interest to a reader.
    names = {"model": "ft:tiny-llama:support", "base": "tiny-llama"}
    report = replace(report, verdict=report.verdict.model_copy(update=names))
    page = folder / "report.html"
    page.write_text(html(report), encoding="utf-8")
    return page


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as name, browser() as chromium:
        page = page_of_a_real_run(Path(name))
        with visit(chromium, page, size=(900, 900), scale=0.8) as seen:
            first = seen.page.locator("figure").first.bounding_box()
            assert first is not None
            clip = FloatRect(x=0, y=0, width=900, height=first["y"] + first["height"])
            seen.page.screenshot(path=out, full_page=True, clip=clip)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
