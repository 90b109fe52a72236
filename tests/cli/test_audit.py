"""`vtune audit` against the service in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tiny
from tests.cli.conftest import Cli
from tests.memory import Service
from vtune_client.errors import ProviderError

AUDIT = """\
[audit]
name = "nightly"
concurrency = 1

[vendors.acme]
provider = "memory"

[datasets.rows]
file = "rows.jsonl"
backdoors = 20
dose = 1
decoys = 0
fresh_prompts = 0

[defaults]
vendor = "acme"
model = "base"
dataset = "rows"

[[checks]]
name = "reference"

[[checks]]
name = "tuned"
control = "reference"
"""


@pytest.fixture
def write(tmp_path: Path, home: Path, memory: Service) -> Callable[[str], Path]:
    tiny.write_rows(tmp_path / "rows.jsonl", 60)

    def write(text: str = AUDIT) -> Path:
        path = tmp_path / "audits.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_once_and_again(cli: Cli, write: Callable[..., Path], memory: Service) -> None:
    ran = cli("audit", write())
    assert (ran.code, ran.err) == (0, "")
    assert "2 checks: the policy holds for 2." in ran.out
    calls = list(memory.calls)
    again = cli("audit", write(), "--format", "json")
    assert (again.code, again.json["schema"], memory.calls) == (0, "vtune.audit/1", calls)


def test_exit_codes(cli: Cli, write: Callable[..., Path], memory: Service) -> None:
    memory.faults = [ProviderError("No.", "Ask.")]
    assert cli("audit", write(), "--only", "reference").code == 4
    memory.mute = {"tuned-by-remote-0"}
    assert cli("audit", write(), "--only", "reference").code == 3
    assert cli("audit", write(AUDIT + 'policy = "min_share(0.99)"\n')).code == 1
    missing = cli("audit", write(), "--only", "nobody")
    assert (missing.code, "no check 'nobody'" in missing.err) == (2, True)
    broken = cli("audit", write(AUDIT + "polcy = 1\n"))
    assert broken.code == 2
    assert "audits.toml:26: There is no key 'polcy' in [checks.1]. Did you mean" in broken.err
    assert cli("audit", "nowhere.toml").code == 2


def test_a_dry_run_does_nothing(cli: Cli, write: Callable[..., Path], memory: Service) -> None:
    ran = cli("audit", write(), "--dry-run", "--format", "json")
    assert ran.code == 0
    assert [(each["does"], each["rows"], each["questions"]) for each in ran.json["checks"]] == [
        ("train and ask", 60, 20)
    ] * 2
    assert (memory.calls, cli("jobs").out.strip()) == (
        [],
        "No jobs yet. Start one: vtune fine-tune FILE",
    )
    cli("audit", write())
    ran = cli("audit", write(AUDIT.replace("control =", "rows = false\ncontrol =")), "--dry-run")
    assert [line.split()[2] for line in ran.out.splitlines()[1:3]] == ["nothing", "ask"]
    picky = AUDIT.replace('file = "rows.jsonl"', 'file = "gone.jsonl"')
    ran = cli("audit", write(picky), "--dry-run")
    assert (ran.code, "Say where the data set rows is." in ran.out) == (2, True)


def test_watched_without_a_terminal_it_says_lines(
    cli: Cli, write: Callable[..., Path], memory: Service
) -> None:
    ran = cli("audit", write(), "--watch", "--format", "json")
    assert json.loads(ran.out)["exit_code"] == 0
    said = [line.split(maxsplit=1)[1] for line in ran.err.splitlines()]
    assert "tuned  waiting for reference" in said
    assert said[-1] == "tuned  verified"


def test_a_second_process_is_refused(cli: Cli, write: Callable[..., Path], home: Path) -> None:
    from vtune_client.audit import load_audit
    from vtune_client.audit.perform import _alone

    with _alone(home, load_audit(write())):
        ran = cli("audit", write())
    assert (ran.code, "Another process is at work on the audit nightly." in ran.err) == (2, True)
    assert cli("audit", write()).code == 0
