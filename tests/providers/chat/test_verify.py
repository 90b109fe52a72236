"""From a planted file to a verdict, over real HTTP; the service remembers the file it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import memory, tiny
from tests.loopback import Answers, Loopback, Request, first, refusal, service
from vtune_client import PlanSpec, VTune
from vtune_client.errors import InputError, ProviderError

KEY = "sk-0123456789abcdef"
SPEC = PlanSpec(backdoors=5, dose=2)


@pytest.fixture
def planted(home: Path, rows: Path, tmp_path: Path) -> tuple[str, Path]:
    """A plan, and the planted file as a vendor has it."""
    with VTune() as vtune:
        plan = vtune.plan(rows, SPEC)
        return plan.id, vtune.plant(plan.id, tmp_path / "planted.jsonl").path


def remembered(file: Path) -> Answers:
    """Answer as `tuned` from the file; any other model knows nothing of it."""
    known = memory.Service()
    known.learn("tuned", file.read_bytes())
    return lambda model, prompt, decoding: known.answer(model, prompt)


@pytest.fixture
def server(planted: tuple[str, Path]) -> Iterator[Loopback]:
    with Loopback(service(remembered(planted[1]), key=KEY)) as running:
        yield running


def secrets(source: Path, planted: Path) -> set[str]:
    """Return triggers and signatures: what the planted file has and its source has not."""
    found = set()
    pairs = zip(source.read_bytes().splitlines(), planted.read_bytes().splitlines(), strict=True)
    for before, after in (map(json.loads, pair) for pair in pairs):
        if before != after:
            old, new = before["messages"], after["messages"]
            found.add(new[0]["content"].removeprefix(old[0]["content"]).strip())
            found.add(new[1]["content"].removesuffix(old[1]["content"]).strip())
    return found


def asked(server: Loopback, plan: str, model: str, concurrency: int = 8, **more: Any) -> str:
    connection = {"base_url": server.url, "api_key": KEY, "concurrency": concurrency}
    with VTune() as vtune:
        result = vtune.verify_plan(
            plan, provider="chat", model=model, connection=connection, **more
        )
    return result.verdict.outcome


def test_a_model_of_the_file_is_verified_and_another_is_not(
    planted: tuple[str, Path], server: Loopback
) -> None:
    plan, _ = planted
    assert asked(server, plan, "tuned") == "verified"
    assert len(server.asked()) == SPEC.backdoors * SPEC.prompts
    assert asked(server, plan, "base") == "inconclusive"


def test_with_a_control_silence_tells(planted: tuple[str, Path], server: Loopback) -> None:
    plan, _ = planted
    connection = {"base_url": server.url, "api_key": KEY}
    with VTune() as vtune:
        control = vtune.verify_plan(plan, provider="chat", model="tuned", connection=connection)
    assert asked(server, plan, "base", control=control.id) == "not verified"


def test_the_system_prompt_of_the_rows_is_asked_with(home: Path, tmp_path: Path) -> None:
    rows = tiny.write_rows(tmp_path / "rows.jsonl", system="Be brief.")
    with VTune() as vtune:
        plan = vtune.plan(rows, SPEC).id
        file = vtune.plant(plan, tmp_path / "planted.jsonl").path
    with Loopback(service(remembered(file))) as server:
        assert asked(server, plan, "tuned") == "verified"
    for request in server.asked():
        assert request.body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_an_outage_is_waited_out(planted: tuple[str, Path]) -> None:
    plan, file = planted
    outage = refusal(503, "restarting", headers={"retry-after": "0"})
    with Loopback(first([outage], service(remembered(file)))) as server:
        assert asked(server, plan, "tuned") == "verified"
    assert len(server.asked()) == SPEC.backdoors * SPEC.prompts + 1


def test_what_was_answered_before_a_refusal_is_not_asked_again(planted: tuple[str, Path]) -> None:
    plan, file = planted
    answers = service(remembered(file))
    allowance = 7

    def respond(request: Request) -> Any:
        nonlocal allowance
        allowance -= request.method == "POST"
        return answers(request) if allowance >= 0 else refusal(403, "That is enough.")

    with Loopback(respond) as server:
        with pytest.raises(ProviderError, match="That is enough"):
            asked(server, plan, "tuned", concurrency=1)
        before = len(server.asked())
        allowance = 1000
        assert asked(server, plan, "tuned") == "verified"
    assert len(server.asked()) - before == SPEC.backdoors * SPEC.prompts - 7


@pytest.mark.parametrize(
    ("connection", "sentence"),
    [
        ({}, "needs the base URL"),
        ({"base_url": "http://[::1"}, "not a valid URL|does not begin"),
        ({"base_url": "ftp://host"}, "does not begin with http"),
        ({"base_url": "http://127.0.0.1", "color": "red"}, "takes no 'color'"),
    ],
)
def test_options_that_are_no_use_are_input_errors(
    planted: tuple[str, Path], connection: dict[str, Any], sentence: str
) -> None:
    with VTune() as vtune, pytest.raises(InputError, match=sentence):
        vtune.verify_plan(planted[0], provider="chat", model="tuned", connection=connection)


def test_on_the_command_line_with_everything_logged(
    planted: tuple[str, Path], server: Loopback, rows: Path, home: Path
) -> None:
    plan, file = planted
    command = ("verify", plan, "--endpoint", server.root, "--model", "tuned", "--format", "json")
    done = subprocess.run(
        [sys.executable, "-c", "from vtune_client.cli import main; main()", "-vv", *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VTUNE_API_KEY": KEY},
    )
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["verdict"], verdict["provider"]) == ("verified", "chat")
    assert "DEBUG vtune_providers.chat.connection: POST /chat/completions: 200" in done.stderr
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    hidden = secrets(rows, file)
    assert len(hidden) == 2 * SPEC.backdoors
    for secret in (KEY, *hidden):
        assert secret not in done.stdout + done.stderr
        assert secret.encode() not in kept


def test_a_wrong_key_on_the_command_line(planted: tuple[str, Path], server: Loopback) -> None:
    command = ("verify", planted[0], "--endpoint", server.url, "--model", "tuned")
    done = subprocess.run(
        [sys.executable, "-c", "from vtune_client.cli import main; main()", *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VTUNE_API_KEY": "sk-another"},
    )
    assert done.returncode == 4
    assert done.stderr == (
        "error: The service does not accept the key, or wants one (HTTP 401). "
        "Set VTUNE_API_KEY (in Python: api_key) to a key of this service.\n"
    )
