"""What OpenAI's clients upload, against a real service of that shape."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

import openai as sdk

from tests import tiny
from tests.dropin.files import CARRIERS, carriers, left_in_plain
from tests.dropin.openai.script import held, start, upload
from tests.dropin.wires import Wire, refused
from tests.serving import Server
from vtune_client import PlanSpec
from vtune_client.errors import DatasetError, InputError
from vtune_client.ledger import Ledger
from vtune_client.openai import OpenAI


class TestUploads:
    @pytest.mark.parametrize(
        ("form", "name"),
        [
            (lambda path: path, "rows.jsonl"),
            (lambda path: path.read_bytes(), "upload"),
            (lambda path: io.BytesIO(path.read_bytes()), "upload"),
            (lambda path: ("mine.jsonl", path.read_bytes()), "mine.jsonl"),
            (lambda path: ("mine.jsonl", path), "mine.jsonl"),
            (lambda path: ("mine.jsonl", path.read_bytes(), "text/plain"), "mine.jsonl"),
            (
                lambda path: ("mine.jsonl", io.BytesIO(path.read_bytes()), None, {"x-mine": "1"}),
                "mine.jsonl",
            ),
        ],
    )
    def test_every_form_of_a_file_is_planted_under_its_name(
        self, client: OpenAI, home: Path, rows: Path, form: Callable[[Path], Any], name: str
    ) -> None:
        given = rows.read_bytes()
        uploaded = client.files.create(file=form(rows), purpose="fine-tune")
        assert uploaded.filename == name
        assert carriers(given, held(client, uploaded.id)) == CARRIERS
        assert rows.read_bytes() == given
        assert left_in_plain(home) == []

    def test_an_open_file_is_known_by_its_path(
        self, client: OpenAI, ledger: Ledger, rows: Path
    ) -> None:
        with rows.open("rb") as file:
            uploaded = client.files.create(file=file, purpose="fine-tune")
            assert not file.closed
        assert uploaded.filename == rows.name
        assert ledger.plans()[0].source == str(rows)

    def test_content_without_a_file_is_known_by_its_name(
        self, client: OpenAI, ledger: Ledger, rows: Path
    ) -> None:
        client.files.create(file=("mine.jsonl", rows.read_bytes()), purpose="fine-tune")
        assert ledger.plans()[0].source == "mine.jsonl"

    def test_a_file_is_planted_privately(
        self, client: OpenAI, wire: Wire, home: Path, rows: Path
    ) -> None:
        modes: list[int] = []

        def looked_at(http: Any, request: Any, send: Callable[[], Any]) -> Any:
            folder, *others = (home / "spool").iterdir()
            assert not others
            paths = [path for path in folder.rglob("*") if path.is_file()]
            modes.extend(
                [folder.stat().st_mode & 0o777, *(p.stat().st_mode & 0o777 for p in paths)]
            )
            return send()

        wire.breaks("POST", "/v1/files", looked_at)
        client.files.create(file=rows.read_bytes(), purpose="fine-tune")
        assert modes == [0o700, 0o600, 0o600]

    def test_what_a_killed_process_left_is_swept_away(
        self, client: OpenAI, home: Path, rows: Path
    ) -> None:
        upload(client, rows)
        left = home / "spool" / "upload-of-the-dead"
        left.mkdir()
        (left / "rows.jsonl").write_text("a secret", encoding="utf-8")
        upload(client, rows)
        assert left_in_plain(home) == []

    def test_a_failed_upload_leaves_nothing_in_plain(
        self, client: OpenAI, wire: Wire, home: Path, ledger: Ledger, rows: Path
    ) -> None:
        wire.breaks("POST", "/v1/files", refused(413))
        with pytest.raises(sdk.APIStatusError):
            upload(client, rows)
        assert left_in_plain(home) == []

    def test_the_vendors_retries_send_the_whole_file_again(
        self, client: OpenAI, wire: Wire, rows: Path
    ) -> None:
        wire.breaks("POST", "/v1/files", refused(429, retry_after_ms="1"))
        file_id = upload(client, rows)
        assert wire.count("POST", "/v1/files") == 2
        assert carriers(rows.read_bytes(), held(client, file_id)) == CARRIERS

    def test_a_broken_file_is_refused_by_its_line_before_anything_is_sent(
        self, client: OpenAI, wire: Wire, rows: Path
    ) -> None:
        lines = rows.read_bytes().splitlines(keepends=True)
        with pytest.raises(DatasetError) as caught:
            client.files.create(
                file=("mine.jsonl", b"".join([*lines[:2], b"{}\n", *lines[2:]])),
                purpose="fine-tune",
            )
        assert caught.value.problems[0].line == 3
        assert wire.seen == []

    def test_a_file_too_small_to_carry_is_refused_and_goes_unplanted(
        self, client: OpenAI, wire: Wire, tmp_path: Path
    ) -> None:
        small = tiny.write_rows(tmp_path / "small.jsonl", rows=12)
        with pytest.raises(InputError, match=r"client\.unplanted"):
            upload(client, small)
        assert wire.seen == []
        file_id = upload(client.unplanted, small)
        assert held(client, file_id) == small.read_bytes()

    def test_the_plan_is_as_wished(self, server: Server, home: Path, rows: Path) -> None:
        with OpenAI(
            base_url=server.openai,
            api_key=server.key,
            plan_spec=PlanSpec(backdoors=2, dose=3, held_out=1),
        ) as client:
            file_id = upload(client, rows)
            assert len(held(client, file_id).splitlines()) == 39

    def test_other_purposes_go_through_untouched(
        self, client: OpenAI, home: Path, rows: Path
    ) -> None:
        uploaded = client.files.create(file=rows, purpose="batch")
        assert held(client, uploaded.id) == rows.read_bytes()
        assert not (home / "ledger.sqlite3").exists()

    @pytest.mark.parametrize("file", [io.StringIO("{}"), "a string", 7])
    def test_what_the_vendor_refuses_is_refused_by_the_vendor(
        self, client: OpenAI, file: Any
    ) -> None:
        def outcome(client: sdk.OpenAI) -> tuple[type, str]:
            with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is
                client.files.create(file=file, purpose="fine-tune")
            return type(caught.value), str(caught.value)

        plain = sdk.OpenAI(base_url=client.base_url, api_key="sk", http_client=client._client)
        assert outcome(client) == outcome(plain)

    @pytest.mark.parametrize("in_memory", [True, False])
    def test_an_upload_in_parts_is_planted(
        self, client: OpenAI, ledger: Ledger, rows: Path, in_memory: bool
    ) -> None:
        given = rows.read_bytes()
        how: dict[str, Any] = {"file": rows}
        if in_memory:
            how = {"file": given, "filename": "mine.jsonl", "bytes": len(given)}
        done = client.uploads.upload_file_chunked(
            **how,
            mime_type="application/jsonl",
            purpose="fine-tune",
            part_size=1000,
            md5=hashlib.md5(given, usedforsecurity=False).hexdigest(),
        )
        assert done.file is not None
        assert done.filename == ("mine.jsonl" if in_memory else rows.name)
        assert carriers(given, held(client, done.file.id)) == CARRIERS
        start(client, done.file.id)
        assert ledger.jobs()[0].file_id == done.file.id
