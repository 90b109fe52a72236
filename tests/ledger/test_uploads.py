"""Uploads that a drop-in client made, by service and id."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vtune_client.ledger import Ledger, PlanRecord, Upload

PLAN = PlanRecord("plan-1", 1.0, "key-1", "/rows.jsonl", "d", 40, 5, 20, 200.0, b"sealed")
UPLOAD = Upload("openai", "https://vendor.example/v1", "file-1", "plan-1", "digest", 2.0)


def test_an_upload_is_found_at_its_service_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.add_plan(PLAN)
        ledger.add_upload(UPLOAD)
        assert ledger.upload(UPLOAD.provider, UPLOAD.address, "file-1") == UPLOAD
        assert ledger.upload(UPLOAD.provider, UPLOAD.address, "file-2") is None
        assert ledger.upload("together", UPLOAD.address, "file-1") is None
        assert ledger.upload(UPLOAD.provider, "https://other.example/v1", "file-1") is None


def test_an_id_that_comes_again_stands_for_the_new_upload(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for number in (1, 2):
            ledger.add_plan(replace(PLAN, id=f"plan-{number}"))
            ledger.add_upload(replace(UPLOAD, plan_id=f"plan-{number}"))
        found = ledger.upload(UPLOAD.provider, UPLOAD.address, "file-1")
        assert found is not None
        assert found.plan_id == "plan-2"
