"""Services that are configured: whether they answer, take the key, and agree on the time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vtune_client.cli.doctor.finding import SERVICE, Finding
from vtune_client.errors import VTuneError
from vtune_client.redaction import redact

if TYPE_CHECKING:
    import httpx

    from vtune_client.provider import Reach

TIMEOUT_S = 10.0
MOST_SKEW_S = 60.0  # tokens and timestamps are commonly refused beyond a few minutes
MOST = 16  # services asked
MOST_BYTES = 8 * 2**20  # of a list of models
KEY = "VTUNE_API_KEY"
WITNESS = "VTUNE_TIMESTAMP_URL"


@dataclass(frozen=True)
class Asked:
    """What came of asking one service: its clock is `ahead_s` of ours where it told the time."""

    finding: Finding
    host: str
    ahead_s: float | None = None


def findings(key_for: str | None) -> Iterator[Finding]:
    import httpx

    reached, broken = _configured()
    yield from broken
    with httpx.Client(timeout=TIMEOUT_S) as client:
        asked = [_ask(client, _without_key(reach, key_for)) for reach in reached[:MOST]]
        if url := os.environ.get(WITNESS):
            asked.append(_ask_witness(client, url))
    yield from (each.finding for each in asked)
    if not asked and not broken:
        advice = "One is asked here once a job is recorded there, or its key is in the environment."
        yield Finding("services", None, "none configured.", advice)
    yield from _clock(asked)


def _configured() -> tuple[list[Reach], list[Finding]]:
    """Return the services of keys in the environment and of recorded jobs, each address once."""
    from vtune_client.home import home
    from vtune_client.ledger import Ledger
    from vtune_client.provider import installed

    providers, _ = installed()
    wanted: list[tuple[str, Mapping[str, Any] | None]] = [(name, None) for name in providers]
    try:
        with Ledger(home()) as ledger:
            wanted += [(job.provider, job.connection) for job in reversed(ledger.jobs())]
    except VTuneError:
        pass  # the ledger has a finding of its own
    found: dict[str, Reach] = {}
    broken: dict[str, Finding] = {}
    for name, connection in wanted:
        reaches = providers[name].reaches if name in providers else None
        try:
            for reach in reaches(connection) if reaches else ():
                found.setdefault(reach.url, reach)
        except VTuneError as error:
            what = f"service of {name}"
            broken[error.message] = Finding(what, None, error.message, error.advice)
    return list(found.values()), list(broken.values())


def _without_key(reach: Reach, key_for: str | None) -> Reach:
    """Leave out VTUNE_API_KEY, which names no service, but for the host that the user names."""
    key = os.environ.get(KEY)
    if not key or key_for in (_host(reach.url), urlsplit(reach.url).hostname):
        return reach
    kept = {name: value for name, value in reach.headers.items() if key not in value}
    return replace(reach, headers=kept)


def _ask(client: httpx.Client, reach: Reach) -> Asked:
    import httpx

    host = _host(reach.url)
    what = f"service {host}"
    started = time.time()
    try:
        with client.stream("GET", reach.url, headers=dict(reach.headers)) as response:
            body = _body(response)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found = f"does not answer ({type(error).__name__})."
        advice = "Check the address and the network."
        return Asked(Finding(what, False, found, advice, SERVICE), host)
    ended = time.time()
    ahead = _ahead(response.headers.get("date"), started, ended)
    seconds = ended - started
    return Asked(_read(what, response, body, seconds, bool(reach.headers)), host, ahead)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _body(response: httpx.Response) -> bytes:
    """Return the body, of one without end its beginning."""
    body, deadline = bytearray(), time.monotonic() + TIMEOUT_S
    for part in response.iter_bytes():
        body += part
        if len(body) > MOST_BYTES or time.monotonic() > deadline:
            break
    return bytes(body)


def _read(what: str, response: httpx.Response, body: bytes, seconds: float, keyed: bool) -> Finding:
    """Return the finding that an answer is."""
    status = response.status_code
    data: dict[str, Any] = {"status": status, "seconds": round(seconds, 3)}
    data |= {"limits": limits} if (limits := _limits(response.headers)) else {}
    if response.is_success:
        models = _models(body)
        data["models"] = models
        told = f"answers in {seconds:.2f} s" + (f", lists {models} models" if models else "")
        return Finding(what, True, told + _left(limits), data=data)
    if status == 429:
        wait = response.headers.get("retry-after", "")
        pause = f", and asks to wait {wait} s" if wait.isdigit() else ""
        found = f"takes no more requests for now (HTTP 429){pause}{_left(limits)}."
        return Finding(what, None, found, "Try again later.", data=data)
    if status in (401, 403):
        found = "does not accept the key" if keyed else "wants a key, and was sent none"
        advice = f"Set {KEY}, or the service's own variable, to a key of it."
        if not keyed and KEY in os.environ:
            advice = f"{KEY} names no service: --key-for {what.split()[-1]} sends it there."
        wrong = False if keyed else None
        return Finding(what, wrong, f"{found} (HTTP {status}).", advice, SERVICE, data)
    if status in (404, 405):
        found = f"answers, and has no list of models (HTTP {status})."
        return Finding(what, None, found, data=data)
    if response.is_redirect:
        found = f"sends us elsewhere (HTTP {status}), where the key was not meant for."
        advice = "Give the address it moved to as the base URL, if you trust it."
        return Finding(what, False, found, advice, SERVICE, data)
    return Finding(what, False, f"fails (HTTP {status}).", "Try again later.", SERVICE, data)


def _ask_witness(client: httpx.Client, url: str) -> Asked:
    """Look whether a timestamp authority is there; it is asked for no timestamp."""
    import httpx

    started = time.time()
    try:
        with client.stream("GET", url) as response:
            ahead = _ahead(response.headers.get("date"), started, time.time())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found = f"does not answer ({type(error).__name__})."
        return Asked(Finding("timestamp authority", False, found, f"Check {WITNESS}.", SERVICE), "")
    host = urlsplit(url).hostname or ""  # a password may stand before it
    return Asked(Finding("timestamp authority", True, f"{host} is there"), host, ahead)


def _clock(asked: list[Asked]) -> Iterator[Finding]:
    told = [(each.ahead_s, each.host) for each in asked if each.ahead_s is not None]
    if not told:
        yield Finding("clock", None, "not compared: no service told the time.")
        return
    off = [(ahead, host) for ahead, host in told if abs(ahead) > MOST_SKEW_S]
    for ahead, host in off:
        way = "behind" if ahead > 0 else "ahead of"
        found = f"this machine is {abs(ahead):.0f} s {way} {host}."
        advice = "Set it by NTP: timestamps and tokens depend on it."
        yield Finding("clock", None, found, advice, data={"skew_s": -ahead, "host": host})
    if not off:
        hosts = ", ".join(dict.fromkeys(host for _, host in told))
        yield Finding("clock", True, f"within {MOST_SKEW_S:.0f} s of {hosts}")


def _ahead(date: str | None, started: float, ended: float) -> float | None:
    """Return by how many seconds a service's clock is ahead of ours; None where it says nothing.

    The Date header (RFC 9110, section 6.6.1) counts whole seconds."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None
    return theirs - (started + ended) / 2


def _limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what a service says of its quotas (x-ratelimit-*, RateLimit-*, retry-after)."""
    names = ("x-ratelimit-", "ratelimit", "retry-after")
    return {
        name: redact("".join(filter(str.isprintable, value)))[:80]
        for name, value in headers.items()
        if name.lower().startswith(names)
    }


def _left(limits: Mapping[str, str]) -> str:
    left = [
        f"{value} {name.removeprefix('x-ratelimit-remaining-')} left"
        for name, value in limits.items()
        if name.startswith("x-ratelimit-remaining-")
    ]
    return f" ({', '.join(left)})" if left else ""


def _models(body: bytes) -> int:
    """Return how many models a list has, in the shapes that services give it."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return 0
    listed = payload.get("data") if isinstance(payload, dict) else payload
    return len(listed) if isinstance(listed, list) else 0
