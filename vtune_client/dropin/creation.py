"""Start a job through a vendor's client, once.

A create whose answer is lost may have started a job that costs money, and a second try may start
another. So the client's own retries are off for this call; after any failure that leaves it open,
the service's list of jobs is looked at first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from vtune_client.client.adoption import Adoption
from vtune_client.dropin.faces import each, settled
from vtune_client.dropin.failures import Failure, Failures
from vtune_client.ledger import Job

log = logging.getLogger(__name__)

CLOCK_SKEW_S = 300.0  # how far a service's clock may be behind ours
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_WISH_S = 0.5, 8.0, 60.0  # as the clients pause
NEVER_SENT = Failure(acted=False, again=False)


@dataclass(frozen=True)
class Remote:
    """A job in a service's list. `mark` is what tells one create from another on the same file."""

    id: str
    file_id: str | None
    created: float | None  # seconds since the epoch
    mark: str | None


@dataclass(frozen=True)
class Calls:
    """The vendor's client, asked for one job; every call may block or be awaited.

    `fetch` gives an existing job in the form that `create` would have given it in. `mark` is what
    `create` was sent with; `newest_first` lets a long list be left early."""

    create: Callable[[], Any]
    fetch: Callable[[str], Any]
    listed: Callable[[], Any]
    remote: Callable[[Any], Remote]
    pause: Callable[[float], Any]
    failures: Failures
    retries: int
    find_lag_s: float
    mark: str | None
    newest_first: bool = False
    now: Callable[[], float] = time.monotonic


async def create_once(adoption: Adoption, job: Job, calls: Calls) -> Any:
    """Return the vendor's answer for the one job that was started; the ledger has its id.

    Raises the client's own error. The job is closed in the ledger where it was certainly not
    created; where that cannot be known it stays open, and `vtune wait` finds out."""
    for tried in range(calls.retries + 1):
        try:
            answer = await settled(calls.create())
        except Exception as error:
            failure = calls.failures.read(error) or NEVER_SENT
            found = await _found_after(error, adoption, job, calls) if failure.acted else None
            if found:
                adoption.created(job, found)
                return await settled(calls.fetch(found))
            if tried == calls.retries or not failure.again:
                adoption.refused(job, f"not created: {type(error).__name__}")
                raise
            await settled(calls.pause(_pause(tried, failure.retry_after)))
        else:
            if remote_id := await id_of(answer) or await _find(adoption, job, calls):
                adoption.created(job, remote_id)
            return answer
    raise AssertionError("unreachable: the last try returns or raises")


async def id_of(answer: Any) -> str | None:
    """Return the id in an answer, be it parsed, raw or streamed; None where there is none."""
    parsed = await settled(answer.parse()) if hasattr(answer, "parse") else answer
    found = getattr(parsed, "id", None)
    return found if isinstance(found, str) else None


async def _found_after(error: Exception, adoption: Adoption, job: Job, calls: Calls) -> str | None:
    """Return the id of the job that was created all the same; raise `error` if nobody says."""
    try:
        return await _find(adoption, job, calls)
    except calls.failures.sdk.APIError:
        log.warning("%s may have been started all the same: `vtune wait` finds out.", job.id)
        raise error from None


async def _find(adoption: Adoption, job: Job, calls: Calls) -> str | None:
    """Return the id of the job that a create just before this may have started.

    None only once the service's list would show it."""
    settled_at = calls.now() + calls.find_lag_s
    while True:
        asked_at = calls.now()
        known = adoption.known_ids(job)
        async with aclosing(each(await settled(calls.listed()))) as listed:
            async for item in listed:
                remote = calls.remote(item)
                if _is_older(remote, job) and calls.newest_first:
                    break
                if remote.id not in known and _is_ours(remote, job, calls.mark):
                    return remote.id
        if asked_at >= settled_at:
            return None
        await settled(calls.pause(min(1.0, settled_at - asked_at)))


def _is_ours(remote: Remote, job: Job, mark: str | None) -> bool:
    """A service may drop the mark; what it then says of the file has to do."""
    same_file = remote.file_id == job.file_id
    return same_file and remote.mark in (None, mark) and not _is_older(remote, job)


def _is_older(remote: Remote, job: Job) -> bool:
    return remote.created is not None and remote.created < job.created - CLOCK_SKEW_S


def _pause(tried: int, wish: float | None) -> float:
    if wish is not None and 0 < wish <= LONGEST_WISH_S:
        return wish
    return float(min(FIRST_PAUSE_S * 2**tried, LONGEST_PAUSE_S))
