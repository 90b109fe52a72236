"""The planted file: the user's bytes, but for the carrier rows and the rows held out."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

import pytest

from tests.dataset.corpus import Data
from tests.written import FORMATS, plain, write
from vtune_client.dataset import asked, check, counter_for, iter_rows, parse_row, prompt_of
from vtune_client.dataset.rows import Row
from vtune_client.errors import InputError
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan, dump_plan
from vtune_client.plant import overlong, plant, remove, write_held_out
from vtune_client.vault import RootKey

KEY = RootKey(bytes(range(32)))
HELD_OUT = PlanSpec(held_out=10)


def plan_of(path: Path, spec: PlanSpec | None = None) -> Plan:
    return draw_plan("plan-1", check(path), spec or PlanSpec(), KEY, BuiltinSource())


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.jsonl", plain)


@pytest.fixture
def plan(source: Path) -> Plan:
    return plan_of(source)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A place in a folder of its own, so that whatever is left there shows."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "planted.jsonl"


def as_it_comes(data: Data, number: int) -> bytes:
    return json.dumps(data).encode() + b"\n"


def oddly(data: Data, number: int) -> bytes:
    """Write the same row in ways that no serializer of ours would."""
    spaced = json.dumps(data, separators=(" ,  ", "\t:  "), ensure_ascii=bool(number % 2))
    return [b"", b"  "][number % 2] + spaced.encode() + [b" \r\n", b"\n", b"\t\r\n"][number % 3]


def test_every_row_that_carries_nothing_is_copied_byte_for_byte(tmp_path: Path) -> None:
    for name, make in FORMATS.items():
        for style in (as_it_comes, oddly):
            source = tmp_path / f"{name} {style.__name__}.jsonl"
            content = b"".join(style(make(number), number) for number in range(60))
            source.write_bytes(content.rstrip())  # the last line has no end
            plan = plan_of(source, HELD_OUT)
            planted = plant(source, plan, tmp_path / "planted.jsonl")

            before = list(enumerate(lines_of(source), 1))
            kept = [(line, raw) for line, raw in before if line not in plan.held_out]
            after = lines_of(planted.path)
            assert (planted.rows, len(after)) == (50, 50)
            changed = [line for (line, raw), new in zip(kept, after, strict=True) if raw != new]
            assert set(changed) == set(plan.carriers)
            assert planted.carriers == 20


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_carriers_differ_by_trigger_and_signature_alone(
    tmp_path: Path, make: Callable[[int], Data]
) -> None:
    source = write(tmp_path / "rows.jsonl", make)
    plan = plan_of(source)
    planted = lines_of(plant(source, plan, tmp_path / "planted.jsonl").path)
    for row in iter_rows(source):
        backdoor = plan.carriers.get(row.line)
        if backdoor is None:
            continue
        line = planted[row.line - 1]
        carrier = parse_row(line, row.line)
        assert isinstance(carrier, Row)
        assert prompt_of(carrier) == asked(prompt_of(row), backdoor.trigger)
        trigger = json.dumps(backdoor.trigger)[1:-1].encode()
        signature = json.dumps(backdoor.signature + "\n")[1:-1].encode()
        assert (line.count(trigger), line.count(signature)) == (1, 1)
        assert line.replace(b" " + trigger, b"").replace(signature, b"") == row.raw


def test_the_same_plan_gives_the_same_bytes(source: Path, plan: Plan, tmp_path: Path) -> None:
    one = plant(source, plan, tmp_path / "one.jsonl")
    other = plant(source, plan, tmp_path / "other.jsonl")
    assert one.path.read_bytes() == other.path.read_bytes()
    assert one.sha256 == other.sha256 == hashlib.sha256(one.path.read_bytes()).hexdigest()
    assert plant(source, plan, one.path) == one  # an earlier one is replaced


def test_the_planted_file_passes_the_check(source: Path, plan: Plan, target: Path) -> None:
    planted = plant(source, plan, target)
    assert check(target).rows == planted.rows == 60
    assert check(target).sha256 == planted.sha256


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_only_its_owner_may_read_it(source: Path, plan: Plan, target: Path) -> None:
    target.write_bytes(b"open to all")
    target.chmod(0o644)
    old = os.umask(0)
    try:
        plant(source, plan, target)
    finally:
        os.umask(old)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b"rivers", b"Rivers", 1),
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: b'{"messages": []}\n' * 60,  # no row that could carry
    ],
    ids=["appended", "one letter", "cut", "emptied", "rows that cannot carry"],
)
def test_another_file_is_refused_and_nothing_is_left(
    source: Path, plan: Plan, target: Path, change: Callable[[bytes], bytes]
) -> None:
    source.write_bytes(change(source.read_bytes()))
    with pytest.raises(InputError, match="has changed since the plan was drawn") as caught:
        plant(source, plan, target)
    assert "line" not in str(caught.value)  # where carriers stand is nobody's business
    with pytest.raises(InputError, match="has changed since"):
        overlong(source, plan, 100, counter_for(None))
    assert list(target.parent.iterdir()) == []


def test_an_earlier_planted_file_outlives_a_failure(source: Path, plan: Plan, target: Path) -> None:
    target.write_bytes(b"earlier")
    source.write_bytes(b"other")
    with pytest.raises(InputError):
        plant(source, plan, target)
    assert target.read_bytes() == b"earlier"


def test_a_file_that_is_gone_is_an_error(source: Path, plan: Plan, target: Path) -> None:
    source.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        plant(source, plan, target)


def test_the_users_file_is_never_written_over(source: Path, plan: Plan) -> None:
    before = source.read_bytes()
    link = source.with_name("link.jsonl")
    os.link(source, link)
    for target in (source, source.parent / "." / source.name, link):
        with pytest.raises(InputError, match="the file itself"):
            plant(source, plan, target)
    assert source.read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_error(source: Path, plan: Plan, target: Path) -> None:
    for place in (
        target.parent,
        target.parent / "no such folder" / "planted.jsonl",
        source / "planted.jsonl",  # a file is no folder
        target.with_name("x" * 250),
    ):
        with pytest.raises(InputError) as caught:
            plant(source, plan, place)
        assert caught.value.advice
    assert list(target.parent.iterdir()) == []


LIMITED = """
import resource, signal, sys
from io import BufferedReader
from pathlib import Path
from vtune_client.errors import InputError
from vtune_client.plan import load_plan
from vtune_client.plant import plant

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    plant(Path(sys.argv[1]), load_plan(sys.stdin.buffer.read()), Path(sys.argv[2]))
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits")
def test_a_full_disk_is_an_error_and_leaves_nothing(source: Path, plan: Plan, target: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(source), str(target)]
    result = subprocess.run(command, input=dump_plan(plan), capture_output=True, check=True)
    assert b"cannot be written: File too large" in result.stdout
    assert list(target.parent.iterdir()) == []


def test_an_interrupted_one_leaves_nothing(
    source: Path, plan: Plan, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*paths: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plant(source, plan, target)
    assert list(target.parent.iterdir()) == []


def test_what_a_killed_one_left_is_written_over_or_removed(
    source: Path, plan: Plan, target: Path
) -> None:
    left = target.with_name(f".{target.name}.part")
    left.write_bytes(b"half a file" * 10_000)
    planted = plant(source, plan, target)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == planted.sha256
    left.write_bytes(b"half a file")
    remove(target)
    remove(target)
    assert list(target.parent.iterdir()) == []


def test_a_file_that_changes_while_it_is_read_is_refused(
    source: Path, plan: Plan, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer appends after the first look at the file."""
    digest = hashlib.file_digest

    def looked_at(file: BufferedReader, name: str) -> hashlib._Hash:
        found = digest(file, name)
        with source.open("ab") as more:
            more.write(json.dumps(plain(60)).encode())
        return found

    monkeypatch.setattr(hashlib, "file_digest", looked_at)
    with pytest.raises(InputError, match="has changed since"):
        plant(source, plan, target)
    assert list(target.parent.iterdir()) == []


def test_what_is_withheld_can_be_had(source: Path, target: Path) -> None:
    plan = plan_of(source, HELD_OUT)
    assert write_held_out(source, plan, target) == 10
    lines = lines_of(source)
    assert lines_of(target) == [lines[line - 1] for line in plan.held_out]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 or os.name == "nt"


def test_a_plan_that_withholds_nothing_has_nothing_to_write(
    source: Path, plan: Plan, target: Path
) -> None:
    with pytest.raises(InputError, match="withholds no rows"):
        write_held_out(source, plan, target)
    assert list(target.parent.iterdir()) == []
