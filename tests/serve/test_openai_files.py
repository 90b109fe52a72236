from __future__ import annotations

import http.client
import os
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
from openai import OpenAI

from tests.memory import BASE, Service
from tests.serve.conftest import client_of, until, uploaded
from tests.serving import Server, serving


def test_a_file_comes_back_as_it_went(client: OpenAI, file_id: str, rows: Path) -> None:
    file = client.files.retrieve(file_id)
    assert (file.status, file.filename, file.purpose) == ("processed", rows.name, "fine-tune")
    assert file.bytes == rows.stat().st_size
    assert client.files.content(file_id).content == rows.read_bytes()


def test_bad_rows_are_told_by_their_line(client: OpenAI, rows: Path) -> None:
    lines = rows.read_text(encoding="utf-8").splitlines()
    lines[6] = '{"messages": []}'
    rows.write_text("\n".join(lines), encoding="utf-8")
    file = client.files.retrieve(uploaded(client, rows))
    assert (file.status, file.status_details) == ("error", "line 7: messages is empty")


def test_only_files_to_train_on_are_judged(client: OpenAI) -> None:
    file = client.files.create(file=("notes.txt", b"no rows at all"), purpose="user_data")
    assert (file.status, file.bytes) == ("processed", 14)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_what_is_kept_is_private(server: Server, file_id: str) -> None:
    home = server.service.config.home
    kept = [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert file_id in [path.name for path in kept]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in kept} == {0}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_name_is_only_shown(server: Server, client: OpenAI) -> None:
    file = client.files.create(file=("../../etc/name.txt", b"text"), purpose="user_data")
    assert file.filename == "name.txt"
    folder = server.service.config.home / "files"
    assert [path.name for path in folder.iterdir()] == [file.id]


@pytest.mark.parametrize("name", ["..%2Fservice.sqlite3", "file-0", "service.sqlite3", "%2e%2e"])
def test_an_id_opens_no_other_file(server: Server, file_id: str, name: str) -> None:
    for method, path in (("GET", name), ("GET", f"{name}/content"), ("DELETE", name)):
        connection = http.client.HTTPConnection(urlsplit(server.root).netloc)
        headers = {"authorization": f"Bearer {server.key}"}
        connection.request(method, f"/v1/files/{path}", headers=headers)
        assert connection.getresponse().status == 404
        connection.close()
    assert (server.service.config.home / "service.sqlite3").exists()


def test_lists_are_paged_newest_first(client: OpenAI) -> None:
    made = [
        client.files.create(file=(f"{number}.txt", b"x"), purpose="user_data").id
        for number in range(5)
    ]
    assert [file.id for file in client.files.list(limit=2)] == made[::-1]
    assert [file.id for file in client.files.list(limit=2, order="asc")] == made
    first = client.files.list(limit=2)
    assert ([file.id for file in first.data], first.has_more) == (made[:2:-1], True)
    assert list(client.files.list(purpose="fine-tune")) == []
    with pytest.raises(openai.BadRequestError):
        client.files.list(after="file-000000000000000000000000")


def test_a_deleted_file_is_gone(server: Server, client: OpenAI, file_id: str) -> None:
    assert client.files.delete(file_id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file_id)
    assert list((server.service.config.home / "files").iterdir()) == []


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, memory: Service, rows: Path) -> None:
    most = rows.stat().st_size - 1
    with (
        serving(tmp_path, bases={"tiny": BASE}, provider="memory", max_bytes=most) as server,
        client_of(server) as client,
    ):
        for content in (rows.read_bytes(), rows.read_bytes() * 400):
            with pytest.raises(openai.APIStatusError, match="larger than") as refused:
                client.files.create(file=("rows.jsonl", content), purpose="fine-tune")
            assert refused.value.status_code == 413
        assert list((server.service.config.home / "files").iterdir()) == []
        assert client.files.list().data == []


def test_uploads_come_in_chunks_of_unknown_number(
    server: Server, client: OpenAI, rows: Path
) -> None:
    head = (
        '--xyz\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
        '--xyz\r\ncontent-disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
    )
    blocks = [head.encode(), *rows.read_bytes().splitlines(keepends=True), b"\r\n--xyz--\r\n"]
    connection = http.client.HTTPConnection(urlsplit(server.root).netloc)
    headers = {
        "content-type": "multipart/form-data; boundary=xyz",
        "authorization": f"Bearer {server.key}",
    }
    connection.request("POST", "/v1/files", iter(blocks), headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    [file] = client.files.list().data
    assert client.files.content(file.id).content == rows.read_bytes()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=xyz", b"nothing of the kind"),
        ("multipart/form-data; boundary=xyz", b"--xyz--\r\n"),
    ],
)
def test_a_form_that_is_none_is_refused(server: Server, kind: str, body: bytes) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.root).netloc)
    headers = {"content-type": kind, "authorization": f"Bearer {server.key}"}
    connection.request("POST", "/v1/files", body, headers)
    assert connection.getresponse().status == 400
    connection.close()


def test_cut_upload(server: Server, client: OpenAI, rows: Path) -> None:
    server.faults.add("cut-upload", times=1)
    with pytest.raises(openai.APIConnectionError):
        client.files.create(file=rows, purpose="fine-tune")
    assert os.listdir(server.service.config.home / "files") == []
    assert client.files.create(file=rows, purpose="fine-tune").status == "uploaded"


def test_slow_validation(server: Server, client: OpenAI, rows: Path) -> None:
    server.faults.add("slow-validation", 3600, times=1)
    slow = client.files.create(file=rows, purpose="fine-tune")
    uploaded(client, rows)
    assert client.files.retrieve(slow.id).status == "uploaded"


def test_what_was_not_judged_is_judged_after_a_restart(
    tmp_path: Path, memory: Service, rows: Path
) -> None:
    with serving(tmp_path, bases={"tiny": BASE}, provider="memory") as server:
        server.faults.add("slow-validation", 3600)
        with client_of(server) as client:
            file = client.files.create(file=rows, purpose="fine-tune")
    with (
        serving(tmp_path, bases={"tiny": BASE}, provider="memory") as server,
        client_of(server) as client,
    ):
        until(lambda: client.files.retrieve(file.id).status == "processed")
