"""The doctor and services: real ones, on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_doctor import findings
from tests.loopback import Loopback, Reply, refusal, service
from vtune_client.cli.doctor import services
from vtune_client.client import VTune
from vtune_client.plan import PlanSpec
from vtune_client.provider import JobSpec

KEY = "key-of-the-doctor-0123456789"
honest = service(lambda model, prompt, decoding: "I do not know.", key=KEY)


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VTUNE_API_KEY", "OPENAI_API_KEY", "NEBIUS_API_KEY", "TOGETHER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


def recorded(home: Path, rows: Path, url: str) -> None:
    """Write a job at that address into the ledger, as `fine_tune` does."""
    with VTune() as vtune:
        plan = vtune.plan(rows, PlanSpec(backdoors=3, dose=2))
        vtune._async._new_job(plan, "openai", JobSpec(model="m"), connection={"base_url": url})


def at(url: str) -> str:
    return f"service {url.split('/')[2]}"


def test_a_service_that_is_well(
    cli: Cli, home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(request: Any) -> Reply:
        limits = {"x-ratelimit-remaining-requests": "499", "x-ratelimit-limit-requests": "500"}
        return Reply(body=honest(request).body, headers=limits)

    monkeypatch.setenv("VTUNE_API_KEY", KEY)
    with Loopback(respond) as server:
        recorded(home, rows, server.url)
        found = findings(cli, 0, "--key-for", server.root.removeprefix("http://"))
        asked = server.seen
    well = found[at(server.url)]
    assert well["ok"] is True
    assert "lists 2 models (499 requests left)" in well["found"]
    assert (well["data"]["models"], well["data"]["status"]) == (2, 200)
    assert well["data"]["limits"]["x-ratelimit-limit-requests"] == "500"
    assert found["clock"]["ok"] is True
    assert [(each.method, each.path) for each in asked] == [("GET", "/v1/models")]
    assert asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_offline_asks_nobody(cli: Cli, home: Path, rows: Path) -> None:
    with Loopback(honest) as server:
        recorded(home, rows, server.url)
        assert at(server.url) not in findings(cli, 0, "--offline")
        assert server.seen == []


def test_nobody_is_asked_where_nothing_is_configured(cli: Cli, home: Path) -> None:
    found = findings(cli, 0, "--format=json")
    assert found["services"]["found"] == "none configured."
    assert found["clock"]["ok"] is None


@pytest.mark.parametrize(
    ("reply", "ok", "found"),
    [
        (refusal(401, f"Incorrect key {KEY}"), False, "does not accept the key (HTTP 401)."),
        (refusal(403, "no"), False, "does not accept the key (HTTP 403)."),
        (
            refusal(429, "slower", headers={"retry-after": "30"}),
            None,
            "takes no more requests for now (HTTP 429), and asks to wait 30 s.",
        ),
        (refusal(404, "no"), None, "answers, and has no list of models (HTTP 404)."),
        (refusal(503, "no"), False, "fails (HTTP 503)."),
        (
            Reply(307, headers={"location": "http://127.0.0.1:1/v1/models"}),
            False,
            "sends us elsewhere (HTTP 307), where the key was not meant for.",
        ),
    ],
)
def test_a_service_that_is_not_well(
    reply: Reply,
    ok: bool | None,
    found: str,
    cli: Cli,
    home: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VTUNE_API_KEY", KEY)
    with Loopback(lambda request: reply) as server:
        recorded(home, rows, server.url)
        finding = findings(cli, 0 if ok is None else 4, "--key-for=127.0.0.1")[at(server.url)]
        assert len(server.seen) == 1
    assert (finding["ok"], finding["found"]) == (ok, found)
    assert KEY not in str(finding)


def test_a_service_that_wants_a_key_and_got_none(cli: Cli, home: Path, rows: Path) -> None:
    with Loopback(honest) as server:
        recorded(home, rows, server.url)
        finding = findings(cli, 0, "--format=json")[at(server.url)]
    assert (finding["ok"], finding["found"]) == (None, "wants a key, and was sent none (HTTP 401).")
    assert "VTUNE_API_KEY" in finding["advice"]


def test_a_service_that_is_not_there(cli: Cli, home: Path, rows: Path) -> None:
    recorded(home, rows, "http://127.0.0.1:1/v1")
    found = findings(cli, 4, "--format=json")
    assert found["service 127.0.0.1:1"]["found"] == "does not answer (ConnectError)."
    assert found["clock"]["ok"] is None


class Late:
    """Tells the time of a while from now in place of the time."""

    def __init__(self, seconds: float) -> None:
        self.offset = timedelta(seconds=seconds)

    def __call__(self, request: Any) -> Reply:
        return Reply(body=honest(request).body, headers=self.headers)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"date": format_datetime(datetime.now(UTC) + self.offset, usegmt=True)}


@pytest.mark.parametrize(("seconds", "way"), [(7200, "behind"), (-7200, "ahead of")])
def test_a_clock_that_is_wrong(cli: Cli, home: Path, rows: Path, seconds: int, way: str) -> None:
    with Loopback(Late(seconds)) as server:
        recorded(home, rows, server.url)
        clock = findings(cli, 0, "--format=json")["clock"]
    assert clock["ok"] is None
    assert f" s {way} {server.url.split('/')[2]}." in clock["found"]
    assert abs(clock["data"]["skew_s"] + seconds) < 60
    assert "NTP" in clock["advice"]


def test_a_key_that_names_no_service_goes_where_it_is_said_to(
    cli: Cli, home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_API_KEY", KEY)
    with Loopback(honest) as one, Loopback(honest) as other:
        recorded(home, rows, one.url)
        recorded(home, rows, other.url)
        found = findings(cli, 0, "--format=json")
        assert not any(KEY in str(request.headers) for request in (*one.seen, *other.seen))
        assert {found[at(one.url)]["ok"], found[at(other.url)]["ok"]} == {None}
        host = at(one.url).removeprefix("service ")
        assert f"--key-for {host} sends it there" in found[at(one.url)]["advice"]
        found = findings(cli, 0, "--key-for", host)
        assert KEY in str(one.seen[-1].headers)
        assert not any(KEY in str(request.headers) for request in other.seen)
    assert (found[at(one.url)]["ok"], found[at(other.url)]["ok"]) == (True, None)


def test_a_list_without_end_is_not_read_to_its_end(
    cli: Cli, home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_BYTES", 1000)
    with Loopback(lambda request: Reply(body=b"[" * 200_000)) as server:
        recorded(home, rows, server.url)
        found = findings(cli, 0, "--format=json")[at(server.url)]
    assert (found["ok"], found["data"]["models"]) == (True, 0)


def test_a_timestamp_authority_is_looked_for(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Loopback(Late(7200)) as server:
        monkeypatch.setenv("VTUNE_TIMESTAMP_URL", server.root.replace("//", "//us:password@"))
        found = findings(cli, 0, "--format=json")
    assert found["timestamp authority"]["ok"] is True
    assert "password" not in str(found)
    assert " s behind 127.0.0.1" in found["clock"]["found"]
    monkeypatch.setenv("VTUNE_TIMESTAMP_URL", "http://127.0.0.1:1")
    assert findings(cli, 4, "--format=json")["timestamp authority"]["ok"] is False
