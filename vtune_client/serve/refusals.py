"""What a client is told when the answer is no."""

from __future__ import annotations

import traceback
from pathlib import Path

INVALID = "invalid_request_error"


class Refusal(Exception):
    """A request that gets `status` and no more. Each shape renders it in its own words.

    `kind` and `code` are OpenAI's (platform.openai.com/docs/guides/error-codes); `param` names the
    field that is wrong; `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = INVALID,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"retry-after": f"{self.retry_after:g}"}


class ConnectionCut(Exception):
    """The connection is closed here and now, without an answer."""


def not_found(what: str, name: str) -> Refusal:
    return Refusal(404, f"There is no {what} {name!r}.", code="not_found", param="id")


def place_of(error: BaseException) -> str:
    """Return what kind of error it is and where it arose, for the log; not what it says, which
    may quote a client's rows or questions."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
