from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vtune_client.cli.logs import JsonLines, Lines
from vtune_client.redaction import MASK
from vtune_client.telemetry import span

KEY = "key-of-the-logs-0123456789"


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "vtune_client.job", "levelname": "WARNING"})
    made.msg, made.args, made.created = message, args, 1_700_000_000.25
    vars(made).update(more)
    return made


def vtune(
    *arguments: object, code: int, before: str = "", **environment: str
) -> list[dict[str, Any]]:
    """Return what a command logs, every line of it JSON; `before` it some code is run."""
    run = f"{before}from vtune_client.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", run, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_record_is_one_object_on_one_line() -> None:
    line = JsonLines().format(record("job %s:\n%s", "job-1", "busy", job="job-1", at=Path("a")))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250000+00:00",
        "level": "warning",
        "logger": "vtune_client.job",
        "message": "job job-1:\nbusy",
        "job": "job-1",
        "at": "a",
    }


def test_a_record_in_a_trace_names_it() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="needs the `otel` extra")
    with sdk.TracerProvider(shutdown_on_exit=False).get_tracer("a").start_as_current_span("b") as b:
        found = json.loads(JsonLines().format(record("here")))
        at = b.get_span_context()
    assert found["trace_id"] == f"{at.trace_id:032x}"
    assert found["span_id"] == f"{at.span_id:016x}"
    with span("outside"):
        pass
    assert "trace_id" not in json.loads(JsonLines().format(record("here")))


@pytest.mark.parametrize("formatter", [Lines(), JsonLines()])
def test_credentials_and_the_words_of_exceptions_are_not_logged(
    formatter: logging.Formatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_API_KEY", KEY)
    said = "graceful chemist"
    try:
        raise ValueError(f"the row said {said}")
    except ValueError:
        made = record("sent %s", {"Authorization": f"Bearer {KEY}"}, exc_info=sys.exc_info())
    made.field = f"x {KEY} y"
    text = formatter.format(made)
    assert KEY not in text
    assert MASK in text
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert said not in text.replace("said", "") or said not in text


def test_the_command_logs_json_where_asked(home: Path, rows: Path, tmp_path: Path) -> None:
    (error,) = vtune("--log-format=json", "status", "job-0", code=2)
    assert (error["level"], error["error"], error["exit_code"]) == ("error", "LedgerError", 2)
    assert "vtune jobs" in error["message"]
    (usage,) = vtune("--log-format=json", "verify", code=2)
    assert (usage["error"], "Missing argument" in usage["message"]) == ("Usage", True)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\nno\n", encoding="utf-8")
    (error,) = vtune("plant", bad, "--out", tmp_path / "x", code=2, VTUNE_LOG_FORMAT="json")
    assert [problem["line"] for problem in error["problems"]] == [1, 2]
    assert vtune("plant", rows, "--out", tmp_path / "y", code=0, VTUNE_LOG_FORMAT="json") == []


def test_a_bug_is_one_object_too(home: Path) -> None:
    (home / "ledger.sqlite3").mkdir()
    (error,) = vtune("--log-format=json", "jobs", code=2)
    assert error["error"] == "LedgerError"
    broken = "import vtune_client.cli.jobs as jobs; jobs.open_client = None; "
    (bug,) = vtune("-vv", "--log-format=json", "jobs", code=70, before=broken)
    assert bug["error"] == "TypeError"
    assert "This is a bug" in bug["message"]
    assert "jobs.py" in bug["traceback"][0]
