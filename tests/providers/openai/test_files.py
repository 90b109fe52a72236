"""Files sent whole and in parts, and waited for."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

from tests.loopback import Reply
from tests.providers.openai.made import training
from tests.providers.openai.scripted import Scripted, Sent, scripted
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_providers.openai import files
from vtune_providers.openai.client import Service
from vtune_providers.openai.settings import checked

FILE = "GET /v1/files/file-1"
CONTENT = b'{"messages": []}\n' * 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "planted.jsonl"
    path.write_bytes(CONTENT)
    return path


def fields(sent: Sent) -> dict[str, bytes]:
    """Return the parts of a multipart body by name."""
    mark = sent.headers["content-type"].partition("boundary=")[2].encode()
    found = {}
    for part in sent.content.split(b"--" + mark)[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        assert name
        found[name[1].decode()] = body.removesuffix(b"\r\n")
    return found


async def test_a_file_is_sent_whole_under_the_name_given(file: Path) -> None:
    with scripted({"POST /v1/files": Reply(body={"id": "file-1"})}) as server:
        async with training(server) as trainer:
            assert await trainer.upload(file, "token.jsonl") == "file-1"
    (sent,) = server.seen
    assert fields(sent) == {"purpose": b"fine-tune", "file": CONTENT}
    assert b'filename="token.jsonl"' in sent.content
    assert b"planted" not in sent.content


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}])
async def test_a_file_without_an_id_is_none(file: Path, body: Any) -> None:
    with scripted({"POST /v1/files": Reply(body=body)}) as server:
        async with training(server) as trainer:
            with pytest.raises(ProviderError, match="gave no id"):
                await trainer.upload(file, "token.jsonl")


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with scripted({}) as server:
        async with training(server) as trainer:
            with pytest.raises(InputError, match="cannot be read"):
                await trainer.upload(tmp_path / "gone.jsonl", "token.jsonl")
    assert server.seen == []


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PART", 300)


def parted(server: Scripted) -> Service:
    """Return a service to which files of more than 100 bytes go in parts."""
    settings = checked({"base_url": server.url})
    return Service(replace(settings, preset=replace(settings.preset, parts_above=100)))


def parts_of(**changes: Any) -> dict[str, Any]:
    numbers: Iterator[int] = iter(range(100))
    return {
        "POST /v1/uploads": Reply(body={"id": "up-1"}),
        "POST /v1/uploads/up-1/parts": lambda sent: Reply(body={"id": f"part-{next(numbers)}"}),
        "POST /v1/uploads/up-1/complete": Reply(body={"id": "up-1", "file": {"id": "file-9"}}),
        "POST /v1/uploads/up-1/cancel": Reply(body={"id": "up-1", "status": "cancelled"}),
        **changes,
    }


@pytest.mark.usefixtures("small_parts")
async def test_a_large_file_goes_in_parts(file: Path) -> None:
    with scripted(parts_of()) as server:
        service = parted(server)
        assert await files.upload(service, file, "token.jsonl") == "file-9"
        await service.aclose()
    first, *parts, last = server.seen
    assert first.body == {
        "bytes": len(CONTENT),
        "filename": "token.jsonl",
        "mime_type": "text/jsonl",
        "purpose": "fine-tune",
    }
    assert b"".join(fields(part)["data"] for part in parts) == CONTENT
    assert {len(fields(part)["data"]) for part in parts[:-1]} == {300}
    assert last.body == {
        "part_ids": ["part-0", "part-1", "part-2"],
        "md5": hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
    }


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("where", ["parts", "complete"])
@pytest.mark.parametrize("cancel", [Reply(body={}), Reply(500)])
async def test_parts_that_fail_are_cancelled(file: Path, where: str, cancel: Reply) -> None:
    broken = {
        f"POST /v1/uploads/up-1/{where}": Reply(500),
        "POST /v1/uploads/up-1/cancel": cancel,
    }
    with scripted(parts_of(**broken)) as server:
        service = parted(server)
        with pytest.raises(NetworkError, match="failed"):
            await files.upload(service, file, "token.jsonl")
        await service.aclose()
    assert server.seen[-1].route == "POST /v1/uploads/up-1/cancel"


def test_parts_are_no_larger_than_openai_takes() -> None:
    assert files.PART == 64 * 1024 * 1024


async def waited(replies: list[Reply] | Reply, **connection: Any) -> int:
    """Return how often it asked."""
    with scripted({FILE: replies}) as server:
        async with training(server, **connection) as trainer:
            await trainer.wait_for_file("file-1")
    return len(server.seen)


def state(status: str | None, **more: Any) -> Reply:
    return Reply(body={"id": "file-1", "status": status, **more})


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FIRST_PAUSE_S", 0.0)


@pytest.mark.usefixtures("no_pause")
async def test_it_waits_until_the_file_is_taken() -> None:
    assert await waited([state("uploaded"), state("composing"), state("processed")]) == 3
    assert await waited(state(None)) == 1


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("status", ["error", "failed", "deleted"])
async def test_a_file_that_is_refused_says_why(status: str) -> None:
    why = 'Line 3 says "Tell me of rivers".'
    with pytest.raises(ProviderError) as raised:
        await waited([state("uploaded"), state(status, status_details=why)])
    assert f"refuses the file file-1 ({status}): Line 3 says \u2026." in str(raised.value)


async def test_it_does_not_wait_for_ever() -> None:
    with pytest.raises(ProviderError, match=r"After 0\.05 s .* its status is 'uploaded'"):
        await waited(state("uploaded"), file_timeout_s=0.05)


async def test_waiting_can_be_stopped() -> None:
    with scripted({FILE: state("uploaded")}) as server:
        async with training(server) as trainer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await trainer.wait_for_file("file-1")


async def test_an_outage_while_waiting_is_the_callers_to_bear() -> None:
    with pytest.raises(NetworkError):
        await waited(Reply(503))


async def test_deleting_what_is_gone_is_no_error() -> None:
    delete = "DELETE /v1/files/file-1"
    with scripted({delete: [Reply(body={"deleted": True}), Reply(404), Reply(403)]}) as server:
        async with training(server) as trainer:
            await trainer.clean_up("file-1")
            await trainer.clean_up("file-1")
            with pytest.raises(ProviderError):
                await trainer.clean_up("file-1")
