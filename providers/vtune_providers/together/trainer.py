"""The Together `Trainer`: jobs of https://docs.together.ai/reference/post-fine-tunes.

The SDK's own `create` asks for limits and price, goes on past a price that the account cannot pay,
and may repeat the call that starts the job. Here those are three calls: `check`, `quote` and a bare
`create`, which goes out once.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtune_client.dataset import iter_rows
from vtune_client.dataset.tokens import counter_for, row_tokens
from vtune_client.errors import InputError, NotYet, Problem, ProviderError
from vtune_client.provider import (
    Checkpoint,
    Estimate,
    JobEvent,
    JobSpec,
    JobStatus,
    Trainer,
    TrainerCapabilities,
)
from vtune_providers.together import recipe, storage, wire
from vtune_providers.together.failures import Deed, Refused, garbage
from vtune_providers.together.limits import Limits
from vtune_providers.together.line import Line, items, segment
from vtune_providers.together.weights import unpack

FILES, JOBS = "/v1/files", "/v1/fine-tunes"
# Above this the SDK sends a file in parts (`MULTIPART_THRESHOLD_GB`), which is not done here.
MAX_BYTES = 5 * 2**30
FILE_WAIT_S = 1800.0
_FILE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class TogetherTrainer(Trainer):
    """Trains at Together, or at a service of its shape."""

    capabilities = TrainerCapabilities(
        formats=frozenset({"chat", "prompt", "text", "preference"}),
        min_rows=1,
        max_bytes=MAX_BYTES,
        methods=frozenset(recipe.METHODS),
        can_export=True,
        poll_s=10.0,
        find_lag_s=30.0,
    )

    def __init__(self, line: Line) -> None:
        self._line = line
        self._limits: dict[str, Limits] = {}

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        recipe.check_options(spec)
        limits = await self._limits_of(spec.model)
        faults = list(limits.faults(spec))
        if faults:
            raise InputError(
                f"{spec.model} cannot be trained like this: {'; '.join(faults)}.",
                "Change the job's settings.",
            )
        size = (await asyncio.to_thread(path.stat)).st_size
        if size > MAX_BYTES:
            return (Problem(0, f"the file has {size} bytes, and {MAX_BYTES} are the most"),)
        return ()

    async def max_row_tokens(self, model: str) -> int | None:
        return (await self._limits_of(model)).row_tokens()

    async def estimate(self, path: Path, spec: JobSpec) -> Estimate:
        """Count the tokens; Together names a price only for a file that it has (`quote`)."""
        counter = counter_for(spec.model)

        def counted() -> int:
            return sum(row_tokens(row, counter) for row in iter_rows(path))

        tokens = await asyncio.to_thread(counted) * (spec.epochs or recipe.EPOCHS)
        return Estimate(tokens=tokens, source=f"tokens: {counter.name}")

    async def upload(self, path: Path, name: str) -> str:
        """Send the file; what the account has already keeps its id."""
        digest = await asyncio.to_thread(_sha256, path)
        file_id, address = await self._place(name, digest)
        if address is None:
            return file_id
        await storage.put(address, path, insecure=self._line.insecure)
        deed = Deed("look into the uploaded file", f"file {file_id!r}")
        await self._line.ask("post", f"{FILES}/{segment(file_id)}/preprocess", deed)
        return file_id

    async def wait_for_file(self, file_id: str) -> None:
        """Ask until the service has looked through the file; at most half an hour."""
        pause, waited = 0.1, 0.0
        deed = Deed("say how the file is", f"file {file_id!r}", "Upload it again.")
        while waited < FILE_WAIT_S:
            payload = await self._line.ask("get", f"{FILES}/{segment(file_id)}", deed)
            fit = wire.file_state(payload)
            if fit:
                return
            if fit is False:
                raise ProviderError(
                    f"The service refuses the file ({wire.file_fault(payload)}).",
                    "Mend the file and start again.",
                )
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, 5.0)
        raise NotYet(
            f"The service has not looked through the file in {FILE_WAIT_S:g} s.",
            "Try again later, or ask the service.",
        )

    async def quote(self, file_id: str, spec: JobSpec) -> Estimate | None:
        """Return the service's price; `ProviderError` where it says that the account's credit does
        not cover it, since such a job is cancelled on the way."""
        content = recipe.price_body(spec, file_id, await self._rank_for(spec))
        deed = Deed("name a price", f"model {spec.model!r} or file {file_id!r}")
        said = await self._line.ask("post", f"{JOBS}/estimate-price", deed, body=content)
        price, tokens = said.get("estimated_total_price"), said.get("estimated_train_token_count")
        if said.get("estimation_available") is False or not isinstance(price, int | float):
            return None
        if said.get("allowed_to_proceed") is False:
            raise ProviderError(
                f"The job would cost about {price:.2f} USD, more than the account's credit.",
                "Add credit to the account, or train for fewer epochs.",
            )
        count = int(tokens) if isinstance(tokens, int | float) else None
        return Estimate(float(price), "USD", count, "the service's estimate for this file")

    async def create(
        self, file_id: str, spec: JobSpec, token: str, *, validation_id: str | None = None
    ) -> JobStatus:
        """Start the job by one call; its suffix carries the token."""
        recipe.check_options(spec)
        suffix = wire.suffix_for(token, spec.suffix)
        content = recipe.body(spec, file_id, suffix, validation_id, await self._rank_for(spec))
        deed = Deed("start the job", f"model {spec.model!r} or file {file_id!r}")
        return _status(await self._line.ask("post", JOBS, deed, body=content), deed)

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        """Look through all jobs of the account: the list takes no filter."""
        deed = Deed("list its jobs", "list of jobs")
        for payload in await self._line.pages(JOBS, deed):
            if wire.is_of(payload, token, file_id):
                return wire.status_of(payload)
        return None

    async def get(self, job_id: str) -> JobStatus:
        deed = _about(job_id, "say how the job is")
        return _status(await self._line.ask("get", f"{JOBS}/{segment(job_id)}", deed), deed)

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        deed = _about(job_id, "list the job's events")
        payload = await self._line.ask("get", f"{JOBS}/{segment(job_id)}/events", deed)
        for event in wire.events_of(items(payload)):
            yield event

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        deed = _about(job_id, "list the job's checkpoints")
        payload = await self._line.ask("get", f"{JOBS}/{segment(job_id)}/checkpoints", deed)
        return wire.checkpoints_of(job_id, items(payload))

    async def cancel(self, job_id: str) -> JobStatus:
        """Cancel the job; one that has ended stays as it is."""
        deed = _about(job_id, "cancel the job")
        try:
            payload = await self._line.ask("post", f"{JOBS}/{segment(job_id)}/cancel", deed)
        except Refused as refused:
            if refused.status not in (400, 409, 422):
                raise
            now = await self.get(job_id)
            if not now.state.final:
                raise
            return now
        said = wire.status_of(payload)
        return said if said and said.id == job_id else await self.get(job_id)

    async def export(self, job_id: str, folder: Path) -> Path:
        """Download the weights: of a LoRA job the merged model where there is one, else the
        adapter. https://docs.together.ai/reference/get-finetune-download"""
        job = await self.get(job_id)
        deed = _about(job_id, "send the job's weights")
        kinds = _archives(job.raw)
        for kind in kinds:
            query = {"ft_id": job_id, "checkpoint": kind}
            try:
                return await unpack(
                    self._line.stream("/v1/finetune/download", deed, query=query), folder
                )
            except Refused as refused:
                if kind == kinds[-1] or refused.status not in (400, 404, 422):
                    raise
        raise AssertionError("unreachable: the last kind returns or raises")

    async def clean_up(self, file_id: str) -> None:
        deed = Deed("delete the file", f"file {file_id!r}")
        try:
            await self._line.ask("delete", f"{FILES}/{segment(file_id)}", deed)
        except Refused as refused:
            if refused.status not in (404, 410):
                raise

    async def aclose(self) -> None:
        await self._line.aclose()

    async def _limits_of(self, model: str) -> Limits:
        if model not in self._limits:
            deed = Deed(
                f"train {model!r}",
                f"model {model!r} that it trains",
                "https://docs.together.ai/docs/fine-tuning-models lists those it trains.",
            )
            query = {"model_name": model}
            said = await self._line.ask("get", f"{JOBS}/models/limits", deed, query=query)
            self._limits[model] = Limits(said)
        return self._limits[model]

    async def _rank_for(self, spec: JobSpec) -> int:
        if not recipe.wants_rank(spec):
            return 0
        return (await self._limits_of(spec.model)).default_rank

    async def _place(self, name: str, digest: str) -> tuple[str, str | None]:
        """Ask where to put a file; return its id and the address, None where it is there."""
        deed = Deed("take the file", "place for files", "Check the account's credit and the file.")
        form = {"purpose": "fine-tune", "file_name": name, "file_type": "jsonl", "checksum": digest}
        try:
            reply = await self._line.send(
                "post", FILES, deed, body=form, headers={"Content-Type": "multipart/form-data"}
            )
        except Refused as refused:
            if refused.status == 409 and (known := _file_id(refused.json().get("file_id"))):
                return known, None
            if refused.status not in storage.ELSEWHERE:
                raise
            headers: Mapping[str, str] = refused.reply.headers
        else:
            headers = reply.headers
        address, file_id = headers.get("location"), _file_id(headers.get("x-together-file-id"))
        if not address or not file_id:
            raise garbage(deed)
        return file_id, address


def _status(payload: Mapping[str, Any], deed: Deed) -> JobStatus:
    status = wire.status_of(payload)
    if status is None:
        raise garbage(deed)
    return status


def _about(job_id: str, do: str) -> Deed:
    return Deed(do, f"job {job_id!r}", "Check the id, and that the key is of the same project.")


def _archives(raw: Mapping[str, Any]) -> tuple[str, ...]:
    kind = raw.get("training_type")
    if isinstance(kind, Mapping) and kind.get("type") == "Full":
        return ("model_output_path",)
    return ("merged", "adapter")


def _file_id(value: Any) -> str | None:
    return value if isinstance(value, str) and _FILE_ID.fullmatch(value) else None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"The training file cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
