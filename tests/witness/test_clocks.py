"""A witness has a clock of its own: `vtune check` accuses nobody over a few seconds."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vtune_client.attestation import Predicate
from vtune_client.check.seals import Trusted, check_receipts
from vtune_client.witness.log_file import LogFile

DIGEST = hashlib.sha256(b"a commitment")


@pytest.mark.parametrize(
    ("ahead", "standing"),
    [
        (timedelta(seconds=-5), "confirmed"),
        (timedelta(seconds=5), "open"),
        (timedelta(minutes=59), "open"),
        (timedelta(minutes=61), "refuted"),
    ],
)
async def test_a_witness_ahead_of_the_upload(
    ahead: timedelta, standing: str, tmp_path: Path
) -> None:
    uploaded = datetime.now(UTC)
    log = LogFile(tmp_path / "witness.log", now=lambda: uploaded + ahead)
    receipt = await log.witness(DIGEST.digest())
    stated = Predicate.model_construct(
        commitment_sha256=DIGEST.hexdigest(),
        receipts=[receipt.to_json()],
        job={"uploaded": uploaded.timestamp()},
    )
    (finding,) = check_receipts(stated, Trusted(witness_log=log.path))
    assert finding.standing == standing
