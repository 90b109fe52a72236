"""The VTune beside a vendor's client, shared by the client and its copies."""

from __future__ import annotations

from typing import Any, Self

from vtune_client.client import AsyncVTune, VTune
from vtune_client.client.adoption import Adoption, core_of
from vtune_client.plan import PlanSpec


class Accompanied:
    """A vendor's client with a VTune beside it, kept by its copies."""

    _companion: Companion
    _planting = True

    @property
    def unplanted(self) -> Self:
        """The same client, and what it sends stays as it is: for files nobody trains on."""
        client: Any = self
        twin: Self = client.copy()
        twin._planting = False
        return twin

    def _kept_by(self, twin: Accompanied) -> None:
        twin._companion, twin._planting = self._companion, self._planting


class Companion:
    """Opened when it is first needed: a client that only chats needs no vault.

    `vtune` stays the user's to close; one made here is closed by `close`. `find_lag_s` is how long
    a service's list of jobs may miss one just started."""

    def __init__(
        self,
        kind: type[VTune] | type[AsyncVTune],
        vtune: VTune | AsyncVTune | None,
        plan_spec: PlanSpec | None,
    ) -> None:
        self._kind = kind
        self._given = vtune
        self._made: VTune | AsyncVTune | None = None
        self.plan_spec = plan_spec or PlanSpec(by_rows=True)
        self.find_lag_s = 10.0

    @property
    def vtune(self) -> Any:
        """The `VTune` or `AsyncVTune`: its calls block or are awaited, as those of the client."""
        if self._given is not None:
            return self._given
        if self._made is None:
            self._made = self._kind()
        return self._made

    @property
    def adoption(self) -> Adoption:
        return Adoption(core_of(self.vtune))

    def close(self) -> None:
        """Close what was opened here; safe to call twice, and the next call opens it anew."""
        if self._made is not None:
            self._made.ledger.close()
            self._made = None
