from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from vtune_client.errors import InputError
from vtune_client.witness import Checked, Receipt, check_receipt
from vtune_client.witness.log_file import GENESIS, KIND, Head, LogFile

AT = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
DIGESTS = [hashlib.sha256(bytes([number])).digest() for number in range(4)]


def fixed() -> datetime:
    return AT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "witness.log"


async def filled(path: Path) -> list[Receipt]:
    log = LogFile(path, now=fixed)
    return [await log.witness(digest) for digest in DIGESTS]


async def test_each_line_has_a_receipt_that_checks(path: Path) -> None:
    for number, (receipt, digest) in enumerate(zip(await filled(path), DIGESTS, strict=True), 1):
        again = Receipt.from_json(receipt.to_json())
        assert check_receipt(again, digest, log=path) == Checked(
            True,
            AT,
            True,
            f"Written down at {AT.isoformat()}: line {number} of 4 in the log witness.log, "
            "whose chain is whole.",
        )
        alone = check_receipt(again, digest)
        assert (alone.ok, alone.trusted, alone.at) == (True, False, AT)


async def test_an_empty_log_has_a_head(path: Path) -> None:
    assert LogFile(path).head() == Head(0, GENESIS)
    await LogFile(path).witness(DIGESTS[0])
    assert LogFile(path).head().seq == 1


async def test_another_digest_or_time_is_found_out(path: Path) -> None:
    first, *_ = await filled(path)
    assert "for something else" in check_receipt(first, DIGESTS[1], log=path).reason
    assert "another time" in check_receipt(replace(first, at=""), DIGESTS[0], log=path).reason


async def test_a_line_of_ones_own_making_is_not_in_the_log(path: Path) -> None:
    *_, last = await filled(path)
    line = json.loads(base64.b64decode(last.data))
    for change in ({"seq": 5}, {"seq": 10**30}, {"previous": GENESIS}, {"seq": 1}):
        raw = json.dumps({**line, **change}).encode()
        forged = replace(last, data=base64.b64encode(raw).decode())
        assert check_receipt(forged, DIGESTS[3]).ok  # by itself it shows nothing
        found = check_receipt(forged, DIGESTS[3], log=path)
        assert (found.ok, found.trusted) == (False, False)
        assert found.reason == "The line is not in the log witness.log."


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("how", ["digest", "at", "out", "twice", "spaces"])
async def test_no_line_can_be_changed(path: Path, number: int, how: str) -> None:
    """The last can, by its keeper: until somebody has seen the head."""
    *_, last = await filled(path)
    head = LogFile(path).head()
    lines = path.read_text("utf-8").splitlines()
    line = json.loads(lines[number])
    changed = {
        "digest": [json.dumps({**line, "digest": "0" * 64})],
        "at": [json.dumps({**line, "at": "2020-01-01T00:00:00+00:00"})],
        "out": [],
        "twice": [lines[number]] * 2,
        "spaces": [json.dumps(line, indent=None, separators=(",", ":"))],
    }[how]
    after = [*lines[:number], *changed, *lines[number + 1 :]]
    path.write_text("".join(f"{each}\n" for each in after), "utf-8")
    after_it = 1 if how in ("out", "spaces") else 2  # a change shows in the line that follows
    if number == 3 and how in ("digest", "at", "out"):
        assert LogFile(path).head() != head
        assert not check_receipt(last, DIGESTS[3], log=path).ok
        return
    for read in (LogFile(path).head, lambda: check_receipt(last, DIGESTS[3], log=path)):
        with pytest.raises(InputError, match="the witness log is not whole") as broken:
            read()
        assert f"{path}:{number + after_it}:" in broken.value.message
    with pytest.raises(InputError):
        await LogFile(path).witness(DIGESTS[0])


async def test_a_line_cut_short_is_told_and_nothing_is_added(path: Path) -> None:
    await filled(path)
    cut = path.read_bytes()[:-1]
    path.write_bytes(cut)
    with pytest.raises(InputError, match="4: the witness log is not whole: it is cut short"):
        await LogFile(path).witness(DIGESTS[0])
    assert path.read_bytes() == cut


def test_lines_are_counted(path: Path) -> None:
    """A chain may hold together and still leave out a number."""
    first = {"seq": 1, "at": AT.isoformat(), "digest": "0" * 64, "previous": GENESIS}
    raw = json.dumps(first).encode()
    third = json.dumps({**first, "seq": 3, "previous": hashlib.sha256(raw).hexdigest()}).encode()
    path.write_bytes(raw + b"\n" + third + b"\n")
    with pytest.raises(InputError, match="2: the witness log is not whole"):
        LogFile(path).head()


async def test_one_writes_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtune_client.witness.log_file.LOCK_SECONDS", 0.0)
    with FileLock(f"{path}.lock"), pytest.raises(InputError, match="in use by another program"):
        await LogFile(path).witness(DIGESTS[0])
    await LogFile(path).witness(DIGESTS[0])


async def test_many_writers_make_one_chain(path: Path) -> None:
    await asyncio.gather(*(LogFile(path).witness(digest) for digest in DIGESTS * 5))
    assert LogFile(path).head().seq == 20


def lines(**fields: Any) -> str:
    line = {"seq": 1, "at": AT.isoformat(), "digest": DIGESTS[0].hex(), "previous": GENESIS}
    return base64.b64encode(json.dumps({**line, **fields}).encode()).decode()


@pytest.mark.parametrize(
    "data",
    [
        "",
        "!",
        "é",
        "AAAA",
        base64.b64encode(b"[" * 50_000).decode(),
        lines(seq=0),
        lines(seq="1"),
        lines(at="yesterday"),
        lines(at="2026-11-21T20:00:00"),
        lines(at="0001-01-01T00:00:00+23:59"),
        lines(at=1),
        lines(digest="AA" * 32),
        lines(previous=""),
        lines(note=""),
    ],
)
async def test_a_hostile_receipt_is_not_ok(path: Path, data: str) -> None:
    await filled(path)
    receipt = Receipt(KIND, "w", AT.isoformat(), data)
    expected = Checked(False, None, False, "The receipt holds no line of a log.")
    assert check_receipt(receipt, DIGESTS[0]) == expected
    assert check_receipt(receipt, DIGESTS[0], log=path) == expected


async def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read or written"):
        await LogFile(tmp_path / "nowhere" / "witness.log").witness(DIGESTS[0])
    with pytest.raises(InputError, match="cannot be read or written"):
        await LogFile(tmp_path).witness(DIGESTS[0])
    receipt = Receipt(KIND, "w", AT.isoformat(), lines())
    with pytest.raises(InputError, match="cannot be read or written"):
        check_receipt(receipt, DIGESTS[0], log=tmp_path / "none.log")


async def test_a_digest_has_32_bytes(path: Path) -> None:
    with pytest.raises(InputError, match="SHA-256"):
        await LogFile(path).witness(b"short")
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
async def test_a_line_that_does_not_fit_leaves_the_log_as_it_was(path: Path) -> None:
    import resource

    await filled(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(InputError, match="No space left"):
            await LogFile(path).witness(DIGESTS[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
