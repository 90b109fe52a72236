"""What an error of a vendor's client says of a job it was to create.

Both clients come from the same generator, so that their errors have the same names. Sources: the
section "Retries" of their READMEs (408, 409, 429, 5xx and broken connections; `x-should-retry`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WORTH_ANOTHER_TRY = frozenset({408, 409, 429})


@dataclass(frozen=True)
class Failure:
    """`acted`: whether the service may have created the job; `again`: whether another try may
    help; `retry_after`: how many seconds the service asks to wait."""

    acted: bool
    again: bool
    retry_after: float | None = None


@dataclass(frozen=True)
class Failures:
    """Reads errors of the client package `sdk`, which speaks through the package `http`.

    `path` is how the address ends that creates a job."""

    sdk: Any
    http: Any
    path: str

    def read(self, error: Exception) -> Failure | None:
        """Return what the error says, or None where it is not one of a request."""
        if not isinstance(error, self.sdk.APIError):
            return None
        if isinstance(error, self.sdk.APIStatusError):
            return self._of_status(error)
        never_sent = (self.http.ConnectError, self.http.ConnectTimeout, self.http.PoolTimeout)
        sent = not isinstance(error.__cause__, never_sent)
        return Failure(acted=sent and self._creates(error), again=True)

    def _of_status(self, error: Any) -> Failure:
        status, headers = error.status_code, error.response.headers
        again = status in WORTH_ANOTHER_TRY or status >= 500
        if wish := headers.get("x-should-retry"):
            again = wish == "true"
        acted = status >= 500 or status in WORTH_ANOTHER_TRY - {429}
        return Failure(acted and self._creates(error), again, _seconds(headers.get("retry-after")))

    def _creates(self, error: Any) -> bool:
        request = error.request
        path: str = request.url.path
        return request.method == "POST" and path.rstrip("/").endswith(self.path)


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
