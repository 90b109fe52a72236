from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.witness.authority import Authority
from vtune_client.errors import InputError
from vtune_client.witness import (
    Checked,
    Receipt,
    Witness,
    check_receipt,
    read_roots,
    witnesses_from_env,
)
from vtune_client.witness.interface import MOST_LETTERS

RECEIPT = {"kind": "log", "witness": "log w", "at": "2026-11-21T20:00:00+00:00", "data": "AAAA"}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VTUNE_TIMESTAMP_URL", "VTUNE_TIMESTAMP_ROOTS", "VTUNE_WITNESS_LOG"):
        monkeypatch.delenv(name, raising=False)


def test_nobody_is_asked_by_default() -> None:
    assert witnesses_from_env() == ()


def test_the_environment_names_witnesses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_TIMESTAMP_URL", "https://tsa.example/tsr")
    names = [witness.name for witness in witnesses_from_env()]
    assert names == ["https://tsa.example/tsr"]
    monkeypatch.setenv("VTUNE_WITNESS_LOG", str(tmp_path / "w.log"))
    both: tuple[Witness, ...] = witnesses_from_env()
    assert [witness.name for witness in both] == ["log w.log", "https://tsa.example/tsr"]


def test_roots_are_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "roots.pem"
    monkeypatch.setenv("VTUNE_TIMESTAMP_URL", "https://tsa.example/tsr")
    monkeypatch.setenv("VTUNE_TIMESTAMP_ROOTS", str(file))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        witnesses_from_env()
    file.write_text("none", "utf-8")
    with pytest.raises(InputError, match="holds none in PEM or DER"):
        witnesses_from_env()
    pem = Authority(tmp_path).root_pem
    file.write_bytes(pem)
    assert read_roots(str(file)) == (pem,)
    assert len(witnesses_from_env()) == 1
    assert read_roots(None) == ()


def test_a_receipt_of_another_kind_is_not_ok() -> None:
    receipt = Receipt.from_json({**RECEIPT, "kind": "notary"})
    assert check_receipt(receipt, bytes(32)) == Checked(
        False, None, False, "A receipt of a kind that this version does not know."
    )


def test_a_receipt_survives_its_json() -> None:
    assert Receipt.from_json(RECEIPT).to_json() == RECEIPT


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "'kind': field required"),
        ({**RECEIPT, "note": ""}, "'note': extra inputs"),
        ({**RECEIPT, "kind": 1}, "'kind': input should be a valid string"),
        ({**RECEIPT, "data": None}, "'data': input should be a valid string"),
        ({**RECEIPT, "data": "A" * (MOST_LETTERS + 1)}, "'data': string should have at most"),
        ({**RECEIPT, "at": "\ud800"}, "'at': input should be a valid string"),
        ([], "'kind': field required"),
        ("receipt", "no receipt of a witness"),
        (None, "no receipt of a witness"),
        ([1], "no receipt of a witness"),
        ({1: 2}, "no receipt of a witness"),
    ],
)
def test_what_is_no_receipt_is_refused(data: Any, why: str) -> None:
    with pytest.raises(InputError, match="This is no receipt of a witness") as refused:
        Receipt.from_json(data)
    assert why in refused.value.message
