"""Where a vendor's client goes with an upload, a job or a question about one.

Every flow is written once: what it calls on the client and on the VTune beside it may block or be
awaited, see `faces`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from vtune_client.client.adoption import PlantedUpload
from vtune_client.dropin.companion import Companion
from vtune_client.dropin.content import Content
from vtune_client.dropin.creation import Calls, create_once, id_of
from vtune_client.dropin.faces import settled
from vtune_client.errors import InputError
from vtune_client.ledger import Job, Upload
from vtune_client.provider import JobSpec, State, bare_address
from vtune_client.verify import Verification

ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Desk:
    """`client` is the vendor's, without any planting; `recorded` what of its settings the provider
    may keep."""

    provider: str
    client: Any
    companion: Companion
    recorded: Mapping[str, Any]

    @property
    def address(self) -> str:
        """Where the service is, without user, password and query."""
        return (bare_address(str(self.client.base_url)) or "").rstrip("/")

    @property
    def connection(self) -> dict[str, Any]:
        known = {name: value for name, value in self.recorded.items() if value is not None}
        return {**known, "base_url": self.address, "client": self.client}

    async def upload(
        self,
        content: Content,
        send: Callable[[PlantedUpload], Any],
        file_id_of: Callable[[Any], Any] = id_of,
    ) -> Any:
        """Plant a file, `send` it, remember its id; return what the vendor's client returned."""
        adoption = self.companion.adoption
        with ExitStack() as stack:
            try:
                planted = stack.enter_context(
                    adoption.planted(content.body, content.name, self.companion.plan_spec)
                )
            except InputError as error:
                error.advice += " A file that is not trained on goes through `client.unplanted`."
                raise
            answer = await settled(send(planted))
            if file_id := await settled(file_id_of(answer)):
                adoption.uploaded(planted, self.provider, self.address, file_id)
        return answer

    def upload_of(self, file_id: str) -> Upload | None:
        """Return the planted upload of that id, or None where the file is not one of ours."""
        return self.companion.adoption.upload_of(self.provider, self.address, file_id)

    def begin(self, upload: Upload, spec: JobSpec, validation_id: str | None) -> Job:
        """Write down a job before the vendor is asked for it."""
        return self.companion.adoption.begin(upload, spec, self.connection, validation_id)

    async def create(self, job: Job, calls: Calls) -> Any:
        """Start the job, once; return what the vendor's client returned."""
        return await create_once(self.companion.adoption, job, calls)

    async def verify(self, job_id: str, **how: Any) -> Verification:
        """Ask the model that a job delivered and judge it, through the vendor's client.

        `job_id` is the vendor's. Raises as `AsyncVTune.verify` does, `JobFailed` for a job that
        did not succeed, `LedgerError` for one that is not in the ledger."""
        job = self.companion.adoption.job_of(self.provider, job_id)
        through = {"client": self.client}
        if job.model is None and how.get("model") is None:
            job = await settled(self.companion.vtune.status(job.id, connection=through))
            if job.model is None and job.state in ENDED:
                await settled(self.companion.vtune.wait(job.id, connection=through))
        result: Verification = await settled(
            self.companion.vtune.verify(job.id, connection=through, **how)
        )
        return result
