from __future__ import annotations

import hashlib
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.serve.conftest import until
from tests.serving import Server


def begun(client: OpenAI, content: bytes) -> str:
    return client.uploads.create(
        filename="rows.jsonl", purpose="fine-tune", bytes=len(content), mime_type="text/jsonl"
    ).id


def test_a_file_comes_in_parts(client: OpenAI, rows: Path) -> None:
    digest = hashlib.md5(rows.read_bytes(), usedforsecurity=False).hexdigest()
    upload = client.uploads.upload_file_chunked(
        file=rows, mime_type="text/jsonl", purpose="fine-tune", part_size=1000, md5=digest
    )
    assert upload.status == "completed"
    assert upload.file is not None
    file_id = upload.file.id
    assert client.files.content(file_id).content == rows.read_bytes()
    until(lambda: client.files.retrieve(file_id).status == "processed")


def test_the_order_is_what_the_client_says(server: Server, client: OpenAI) -> None:
    upload_id = begun(client, b"abcdef")
    late = client.uploads.parts.create(upload_id, data=b"def").id
    early = client.uploads.parts.create(upload_id, data=b"abc").id
    upload = client.uploads.complete(upload_id, part_ids=[early, late])
    assert upload.file is not None
    assert client.files.content(upload.file.id).content == b"abcdef"
    assert list((server.service.config.home / "parts").iterdir()) == []


def test_another_checksum_is_refused_and_the_upload_stays(client: OpenAI) -> None:
    upload_id = begun(client, b"abc")
    part = client.uploads.parts.create(upload_id, data=b"abc").id
    with pytest.raises(openai.BadRequestError, match="checksum"):
        client.uploads.complete(upload_id, part_ids=[part], md5="0" * 32)
    good = hashlib.md5(b"abc", usedforsecurity=False).hexdigest()
    assert client.uploads.complete(upload_id, part_ids=[part], md5=good).status == "completed"


def test_what_was_not_announced_is_refused(client: OpenAI) -> None:
    upload_id = begun(client, b"abc")
    with pytest.raises(openai.BadRequestError, match="announced"):
        client.uploads.parts.create(upload_id, data=b"abcd")
    part = client.uploads.parts.create(upload_id, data=b"ab").id
    with pytest.raises(openai.BadRequestError, match="announced"):
        client.uploads.complete(upload_id, part_ids=[part])
    with pytest.raises(openai.BadRequestError, match="not the parts"):
        client.uploads.complete(upload_id, part_ids=[part, "part-000000000000000000000000"])
    with pytest.raises(openai.BadRequestError, match="not the parts"):
        client.uploads.complete(upload_id, part_ids=[part, part])


def test_a_cancelled_upload_is_over(server: Server, client: OpenAI) -> None:
    upload_id = begun(client, b"abc")
    client.uploads.parts.create(upload_id, data=b"abc")
    assert client.uploads.cancel(upload_id).status == "cancelled"
    assert list((server.service.config.home / "parts").iterdir()) == []
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        client.uploads.parts.create(upload_id, data=b"abc")
    assert client.files.list().data == []


def test_an_upload_that_is_too_large_is_refused_at_once(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.uploads.create(
            filename="rows.jsonl", purpose="fine-tune", bytes=1 << 40, mime_type="text/jsonl"
        )
    assert refused.value.status_code == 413


def test_an_unknown_upload_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.uploads.cancel("upload-000000000000000000000000")
