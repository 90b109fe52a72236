"""Files in Together's shape, by its own client and by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("together")

import httpx
import together
from together import Together
from together.lib.resources.files import MultipartUploadManager

from tests.serve.conftest import until
from tests.serve.shape import plain, together_of, uploaded
from tests.serving import Server


@pytest.fixture
def client(server: Server) -> Iterator[Together]:
    with together_of(server) as made:
        yield made


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with plain(server) as made:
        yield made


def announced(http: httpx.Client, content: bytes, **more: Any) -> httpx.Response:
    fields = {
        "purpose": "fine-tune",
        "file_name": "rows.jsonl",
        "file_type": "jsonl",
        "checksum": hashlib.sha256(content).hexdigest(),
        **more,
    }
    form = [(name, (None, value)) for name, value in fields.items()]
    return http.post("/v1/files", files=form)


def test_a_file_goes_up_and_comes_back(client: Together, rows: Path) -> None:
    file_id = uploaded(client, rows)
    file = client.files.retrieve(file_id)
    assert (file.filename, file.bytes) == ("rows.jsonl", rows.stat().st_size)
    assert (file.processing_status, file.purpose) == ("COMPLETED", "fine-tune")
    assert file.validation_report is not None
    assert (file.validation_report.valid, file.validation_report.nlines) == (True, 40)
    assert client.files.content(file_id).read() == rows.read_bytes()
    assert [item.id for item in client.files.list().data] == [file_id]
    assert client.files.delete(file_id).deleted is True
    with pytest.raises(together.NotFoundError):
        client.files.retrieve(file_id)


def test_the_same_content_is_the_same_file(client: Together, rows: Path) -> None:
    first = uploaded(client, rows)
    again = rows.rename(rows.with_name("again.jsonl"))
    assert client.files.upload(again, check=False).id == first
    assert len(client.files.list().data) == 1


def test_rows_are_judged(client: Together, rows: Path) -> None:
    with rows.open("a", encoding="utf-8") as sink:
        sink.write('{"messages": []}\n')
    file = client.files.retrieve(uploaded(client, rows))
    report = file.validation_report
    assert file.processing_status == "INVALID_FORMAT"
    assert report is not None
    assert (report.valid, report.error_type) == (False, "INVALID_FORMAT")
    assert (report.error or "").startswith("line 41:")


def test_an_address_takes_one_upload_and_asks_for_no_key(
    server: Server, http: httpx.Client, rows: Path
) -> None:
    content = rows.read_bytes()
    answer = announced(http, content)
    address, file_id = answer.headers["location"], answer.headers["x-together-file-id"]
    assert answer.status_code == 302
    assert address.startswith(f"{server.root}/together/v1/uploads/{file_id}?")
    assert http.post(f"/v1/files/{file_id}/preprocess").status_code == 409
    assert httpx.put(address[:-1] + "~", content=content).status_code == 403
    assert httpx.put(address, content=content).status_code == 200
    assert httpx.put(address, content=content).status_code == 403
    assert http.post(f"/v1/files/{file_id}/preprocess").json()["bytes"] == len(content)


def test_other_content_than_announced_is_not_kept(http: httpx.Client) -> None:
    answer = announced(http, b"one\n")
    refused = httpx.put(answer.headers["location"], content=b"other\n")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "checksum")
    assert http.get(f"/v1/files/{answer.headers['x-together-file-id']}").status_code == 404


def test_a_cut_upload_can_be_sent_again(server: Server, http: httpx.Client, rows: Path) -> None:
    address = announced(http, rows.read_bytes()).headers["location"]
    server.faults.add("cut-upload", times=1)
    with pytest.raises(httpx.TransportError):
        httpx.put(address, content=rows.read_bytes())
    assert httpx.put(address, content=rows.read_bytes()).status_code == 200


def test_a_slow_check(server: Server, client: Together, rows: Path) -> None:
    server.faults.add("slow-validation", 600, times=1)
    file = client.files.upload(rows, check=False)
    assert client.files.retrieve(file.id).processing_status == "PENDING"
    price = client.fine_tuning.estimate_price(training_file=file.id, model="tiny")
    assert price.to_dict()["unavailable_reason"] == "train_file_not_validated"


@pytest.mark.parametrize(
    "field", [{"purpose": "gossip"}, {"file_type": "exe"}, {"checksum": "x"}, {"file_name": ""}]
)
def test_what_cannot_be_uploaded(http: httpx.Client, field: dict[str, str]) -> None:
    refused = announced(http, b"", **field)
    [name] = field
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)


@pytest.mark.parametrize("name", ["../../rows.jsonl", "rows"])
def test_a_name_is_a_name(http: httpx.Client, rows: Path, name: str) -> None:
    answer = announced(http, rows.read_bytes(), file_name=name)
    httpx.put(answer.headers["location"], content=rows.read_bytes())
    file = http.get(f"/v1/files/{answer.headers['x-together-file-id']}").json()
    assert file["filename"] == "rows.jsonl"


def test_the_clients_upload_in_parts(client: Together, rows: Path) -> None:
    checksum = hashlib.sha256(rows.read_bytes()).hexdigest()
    file = MultipartUploadManager(client).upload("/v1/files", rows, checksum, "fine-tune")
    assert client.files.content(file.id).read() == rows.read_bytes()
    until(lambda: client.files.retrieve(file.id).processing_status == "COMPLETED")


class Parts:
    """An upload in three parts by hand."""

    def __init__(self, http: httpx.Client, content: bytes, size: int) -> None:
        self.http = http
        told = {"file_name": "rows.jsonl", "file_size": size, "num_parts": 3}
        told["checksum"] = hashlib.sha256(content).hexdigest()
        self.told = http.post("/v1/files/multipart/initiate", json=told).json()
        third = len(content) // 3
        self.pieces = [content[:third], content[third : 2 * third], content[2 * third :]]

    @property
    def ids(self) -> dict[str, str]:
        return {name: self.told[name] for name in ("upload_id", "file_id")}

    def put(self, number: int) -> dict[str, Any]:
        where = self.told["parts"][number - 1]["URL"]
        answer = httpx.put(where, content=self.pieces[number - 1])
        return {"part_number": number, "etag": answer.headers.get("etag", "").strip('"')}

    def complete(self, parts: list[dict[str, Any]]) -> httpx.Response:
        return self.http.post("/v1/files/multipart/complete", json={**self.ids, "parts": parts})


def test_parts_in_any_order(server: Server, http: httpx.Client, rows: Path) -> None:
    content = rows.read_bytes()
    upload = Parts(http, content, len(content))
    parts = [upload.put(number) for number in (3, 1, 2, 1)][:3]
    assert upload.complete(parts).status_code == 400  # part 1 has come once more since
    parts[1] = upload.put(1)
    file = upload.complete(parts).json()["file"]
    assert http.get(f"/v1/files/{file['id']}/content").content == content
    assert list((server.service.config.home / "parts").iterdir()) == []


def test_parts_that_are_missing_or_too_much(http: httpx.Client, rows: Path) -> None:
    content = rows.read_bytes()
    short = Parts(http, content, len(content))
    assert short.complete([short.put(1), short.put(2)]).status_code == 400
    small = Parts(http, content, len(content) - 1)
    assert [bool(small.put(number)["etag"]) for number in (1, 2, 3)] == [True, True, False]


def test_an_upload_given_up(server: Server, http: httpx.Client, rows: Path) -> None:
    upload = Parts(http, rows.read_bytes(), 10_000)
    upload.put(1)
    assert http.post("/v1/files/multipart/abort", json=upload.ids).status_code == 200
    assert upload.put(2)["etag"] == ""
    assert http.get(f"/v1/files/{upload.told['file_id']}").status_code == 404
    assert list((server.service.config.home / "parts").iterdir()) == []


def test_an_upload_that_is_too_large(server: Server, http: httpx.Client) -> None:
    told = {
        "file_name": "rows.jsonl",
        "file_size": server.service.config.max_bytes + 1,
        "num_parts": 3,
    }
    assert http.post("/v1/files/multipart/initiate", json=told).status_code == 413
