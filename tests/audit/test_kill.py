"""kill -9 while an audit is at work: it goes on with what is there, and nothing is paid twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openai")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from tests import tiny
from tests.memory import BASE, Service
from tests.serving import Server, serving
from vtune_client.ledger import Ledger

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")

ROOT = Path(__file__).parents[2]
QUESTIONS = "/v1/chat/completions"
PLAIN = ("-c", "from vtune_client.cli import main; main()")
MOST = 25  # kills: an audit that gets on needs far fewer
AUDIT = """\
[audit]
name = "killed"

[vendors.acme]
base_url = "{url}"
api_key_env = "ACME_KEY"
connect = {{ concurrency = 1 }}

[datasets.rows]
file = "rows.jsonl"
backdoors = 2
dose = 1

[[checks]]
name = "acme"
vendor = "acme"
model = "tiny"
dataset = "rows"
text_only = true
"""


def run(file: Path, *kill: str) -> subprocess.CompletedProcess[str]:
    how = ("-m", "tests.crash_driver", *kill, "--") if kill else PLAIN
    command = [sys.executable, *how, "audit", str(file), "--format", "json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def asked(server: Server) -> int:
    return server.requests.count(("POST", QUESTIONS))


@pytest.mark.parametrize(("number", "when"), [(4, "before"), (5, "after")])
def test_an_audit_that_is_killed_again_and_again(
    number: int,
    when: str,
    home: Path,
    tmp_path: Path,
    memory: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny.write_rows(tmp_path / "rows.jsonl", 20)
    monkeypatch.setenv("ACME_KEY", "sk-test")
    with serving(tmp_path, bases={"tiny": BASE}, provider="memory") as server:
        file = tmp_path / "audits.toml"
        file.write_text(AUDIT.format(url=server.openai), encoding="utf-8")
        kills = 0
        while (done := run(file, "commit", str(number), when)).returncode == -signal.SIGKILL:
            kills += 1
            assert kills < MOST
        assert done.returncode == 0, done.stderr
        assert kills > 3
        assert len(server.jobs()) == 1
        (check,) = json.loads(done.stdout)["checks"]
        assert (check["state"], check["run"]) == ("holds", 1)
        planned = 2 * 4
        assert planned <= asked(server) <= planned + kills  # one was under way at most, each time
        with Ledger(home) as ledger:
            assert (len(ledger.jobs()), len(ledger.verifications())) == (1, 1)
        before = server.requests
        assert run(file).returncode == 0
        assert server.requests == before
