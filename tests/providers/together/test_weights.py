from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vtune_client.errors import InputError, ProviderError
from vtune_providers.together.weights import unpack


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 100):
        yield content[at : at + 100]


def tar_of(*members: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for member in members:
            tar.addfile(member, io.BytesIO(b"w" * member.size))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 3 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
async def test_an_archive_of_any_usual_kind_is_unpacked(tmp_path: Path, mode: str) -> None:
    content = tar_of(member("./", tarfile.DIRTYPE), member("./a"), member("b/c"), mode=mode)
    folder = await unpack(pieces(content), tmp_path / "new" / "w")
    assert folder == tmp_path / "new" / "w"
    assert (folder / "a").read_bytes() == b"www"
    assert (folder / "b" / "c").read_bytes() == b"www"


async def test_zstandard_too(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    content = zstandard.ZstdCompressor().compress(tar_of(member("a"), mode="w"))
    assert (await unpack(pieces(content), tmp_path / "w") / "a").read_bytes() == b"www"


async def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    await unpack(pieces(tar_of(member("a"))), tmp_path / "w")
    assert (tmp_path / "w" / "a").exists()


async def test_a_used_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="not an empty directory"):
        await unpack(pieces(tar_of(member("a"))), tmp_path / "w")
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "bad",
    [
        member("../out"),
        member("a/../../out"),
        member("/vtune-out"),
        member("a\\..\\out"),
        member("c:out"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard", tarfile.LNKTYPE, "a"),
        member("pipe", tarfile.FIFOTYPE),
        member("a"),
        member("a/b"),
    ],
    ids=lambda info: f"{info.name} {info.type!r}",
)
async def test_nothing_is_written_where_a_member_is_hostile(
    tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    with pytest.raises(ProviderError, match="The archive that the service sent"):
        await unpack(pieces(tar_of(member("a"), bad)), tmp_path / "in" / "w")
    assert list((tmp_path / "in").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>no</html>", tar_of(member("a"))[:60], tar_of(member("d", tarfile.DIRTYPE))],
    ids=["empty", "no archive", "cut", "no files"],
)
async def test_what_is_no_archive_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ProviderError, match="archive"):
        await unpack(pieces(content), tmp_path / "w")
    assert list(tmp_path.iterdir()) == []
