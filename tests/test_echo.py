"""A service that says back whatever it was sent, in every field that it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("openai")

from tests.cli.test_logs import vtune as logged
from tests.loopback import Reply, refusal
from tests.providers.openai.scripted import Route, Scripted, Sent, job, listed, scripted
from tests.test_secrets import Secrets, left_behind, opened
from vtune_client.client import VTune
from vtune_client.errors import VTuneError
from vtune_client.patience import Patience
from vtune_client.plan import PlanSpec

KEY = "sk-echo-0123456789abcdefghij"
PRIVATE = {"Authorization": f"Bearer {KEY}"}


class Echo:
    """The service; `row` is one of the carriers that it was sent."""

    def __init__(self) -> None:
        self.row = ""

    def taken(self, sent: Sent) -> Reply:
        lines = [line for line in sent.content.decode().splitlines() if line.startswith('{"mess')]
        self.row = max(lines, key=len)
        return Reply(body={"id": "file-1", "object": "file", "status": "processed"})

    def failed(self, sent: Sent) -> Reply:
        said = f"Bad row '{self.row}' of {sent.headers['authorization']}, key {KEY[:-1]}."
        error = {"message": said, "code": KEY, "param": sent.headers["authorization"]}
        return Reply(body=job(status="failed", error=error))

    def events(self, sent: Sent) -> Reply:
        text = json.loads(self.row)["messages"][-1]["content"]
        event = {
            "id": f"event {KEY}",
            "created_at": 1,
            "level": text,
            "message": f"{KEY}: {json.dumps(self.row)}",
            "data": {"headers": dict(sent.headers), "row": text, text: [{"said": text}], "step": 3},
            "type": "message",
        }
        return listed(event)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    for name in ("VTUNE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    echo = Echo()
    routes: dict[str, Route] = {
        "GET /v1/files/file-1": Reply(body={"id": "file-1", "status": "processed"}),
        "POST /v1/files": echo.taken,
        "POST /v1/fine_tuning/jobs": Reply(body=job()),
        "GET /v1/fine_tuning/jobs/ftjob-1": echo.failed,
        "GET /v1/fine_tuning/jobs/ftjob-1/events": echo.events,
        "GET /v1/models": refusal(401, f"Not {PRIVATE}"),
    }
    with scripted(routes) as running:
        yield running


def test_what_a_service_says_back_is_nowhere(
    home: Path, rows: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"base_url": server.url, "api_key": KEY}
    with VTune(patience=Patience(outage_s=1)) as vtune:
        started = vtune.fine_tune(
            rows, model="m", provider="openai", connection=how, plan=PlanSpec(backdoors=3, dose=2)
        )
        with pytest.raises(VTuneError) as caught:
            vtune.wait(started.id, connection=how)
        ended = vtune.ledger.job(started.id)
        (event,) = vtune.ledger.events(ended)
    assert event.data["step"] == 3
    secrets = Secrets.of(*opened(home))
    told = json.dumps([str(caught.value), ended.error, event.message, dict(event.data)])
    kept = [*left_behind(home).values(), told.encode(), repr(ended).encode()]
    for content in kept:
        assert KEY.encode()[:16] not in content
        assert secrets.found_in(content) == []
    monkeypatch.setenv("VTUNE_API_KEY", KEY)
    for line in logged("-vv", "--log-format=json", "status", started.id, code=0):
        assert KEY[:16] not in json.dumps(line)
