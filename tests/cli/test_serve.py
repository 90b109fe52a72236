from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Cli

pytest.importorskip("starlette")
pytest.importorskip("torch")
COMMAND = [sys.executable, "-c", "from vtune_client.cli import main; main()", "serve"]


@pytest.fixture
def served(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setenv("VTUNE_SERVE_KEYS", "one, two")
    arguments = ["--port", "0", "--base", "tiny=/models/tiny", "--format", "json"]
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--fault", "busy=1*1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_serves_until_it_is_stopped(
    served: subprocess.Popen[str], home: Path, number: signal.Signals, code: int
) -> None:
    assert served.stdout is not None
    told = json.loads(served.stdout.readline())
    assert told["together"] == f"{told['url']}/together"
    with httpx.Client(trust_env=False) as http:
        headers = {"authorization": "Bearer two"}
        [model] = http.get(f"{told['openai']}/models", headers=headers).json()["data"]
    assert model["id"] == "tiny"
    served.send_signal(number)
    out, err = served.communicate(timeout=60)
    assert (served.returncode, out) == (code, "")
    assert told["openai"] in err
    assert "Traceback" not in err
    assert (home / "serve" / "service.sqlite3").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "0.0.0.0"],  # noqa: S104 - refused
        ["--provider", "nobody"],
        ["--vendor", "unheard-of"],
        ["--vendor", "share"],
        ["--vendor", "backdoors-only"],
        ["--fault", "unheard-of"],
        ["--option", "colour"],
        ["--base", "../tiny"],
        ["--port", "65536"],
        ["--keys-file", "missing"],
    ],
)
def test_2_is_what_cannot_be_used(cli: Cli, home: Path, arguments: list[str]) -> None:
    ran = cli("serve", "--port", "0", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err


def test_lines_for_a_vendor_are_numbers(cli: Cli, home: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    told = ["serve", "--port", "0", "--vendor", "backdoors-only", "--vendor-lines", str(lines)]
    lines.write_text("3\nseven\n", encoding="utf-8")
    ran = cli(*told)
    assert (ran.code, ran.out) == (2, "")
    assert "something else than numbers" in ran.err
    lines.write_text("3\n7\n", encoding="utf-8")
    ran = cli(*told, "--host", "0.0.0.0")  # noqa: S104 - refused, after the lines were read
    assert "Without keys" in ran.err


def test_keys_come_from_a_file(cli: Cli, home: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("schlüssel\n", encoding="utf-8")
    keys.chmod(0o644)
    ran = cli("serve", "--port", "0", "--keys-file", str(keys))
    assert ran.code == 2
    assert "plain ASCII" in ran.err
    assert "schlüssel" not in ran.err
    if sys.platform != "win32":
        assert "chmod 600" in ran.err
