"""`vtune jobs`, `status`, `wait`, `pause`, `resume`, `cancel` and `export`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import emit, format_option, open_client, progress

if TYPE_CHECKING:
    from vtune_client.client import VTune
    from vtune_client.ledger import Job

# What services put around an event; its message and time are shown already.
ENVELOPE = ("id", "object", "created_at", "level", "message", "type", "hash")


@click.command()
@format_option
def jobs(format_: str) -> None:
    """List your jobs, oldest first."""
    with open_client() as vtune:
        found = vtune.ledger.jobs()
    lines = "\n".join(map(job_line, found)) or "No jobs yet. Start one: vtune fine-tune FILE"
    emit(format_, [job_json(job) for job in found], lambda: lines)


@click.command()
@click.argument("job_id", metavar="JOB")
@format_option
def status(job_id: str, format_: str) -> None:
    """Ask the provider once how JOB stands, and show its log."""
    with open_client() as vtune:
        job = vtune.status(job_id)
        events = vtune.ledger.events(job)
    data = {**job_json(job), "events": [asdict(event) for event in events]}
    log = [f"  {event.message} {_details(event.data)}".rstrip() for event in events[-10:]]
    emit(format_, data, lambda: "\n".join([job_line(job), *log]))


@click.command()
@click.argument("job_id", metavar="JOB")
@click.option("--timeout", type=float, metavar="SECONDS", help="Stop waiting, not the job.")
@format_option
def wait(job_id: str, timeout: float | None, format_: str) -> None:
    """Follow JOB to its end, from whatever step it was left at."""
    with open_client() as vtune:
        job = wait_for(vtune, job_id, timeout)
    emit(format_, job_json(job), lambda: job_line(job))


def _command(name: str, text: str) -> click.Command:
    """Return the command that does to a job what `VTune` has under the same name."""

    @click.command(name, help=text)
    @click.argument("job_id", metavar="JOB")
    @format_option
    def command(job_id: str, format_: str) -> None:
        with open_client() as vtune:
            job = getattr(vtune, name)(job_id)
        emit(format_, job_json(job), lambda: job_line(job))

    return command


pause = _command("pause", "Stop the training of JOB for now, where the provider can.")
resume = _command("resume", "Go on with a paused JOB.")
cancel = _command("cancel", "Cancel JOB; one that has ended stays as it is.")


@click.command()
@click.argument("job_id", metavar="JOB")
@click.argument("folder", type=click.Path(file_okay=False))
@format_option
def export(job_id: str, folder: str, format_: str) -> None:
    """Write the weights that JOB delivered into FOLDER, where the provider hands them out."""
    with open_client() as vtune:
        written = vtune.export(job_id, folder)
    emit(format_, {"job": job_id, "weights": str(written)}, lambda: str(written))


def wait_for(vtune: VTune, job_id: str, timeout_s: float | None = None) -> Job:
    """Wait with a progress bar."""
    with progress() as tell:
        return vtune.wait(
            job_id,
            on_job=lambda job: tell(str(job.state), job.progress),
            timeout_s=timeout_s,
        )


def job_json(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "plan": job.plan_id,
        "provider": job.provider,
        "base": job.spec.model,
        "step": str(job.step),
        "state": str(job.state) if job.state else None,
        "progress": job.progress,
        "remote_job": job.remote_id,
        "remote_file": job.file_id,
        "planted_sha256": job.planted_sha256,
        "model": job.model,
        "error": job.error,
        "created": job.created,
    }


def job_line(job: Job) -> str:
    parts = [job.id, job.provider, str(job.state or job.step)]
    if job.progress is not None and not (job.state and job.state.final):
        parts.append(f"{job.progress:.0%}")
    parts += [part for part in (job.model, job.error) if part]
    return "  ".join(parts)


def _details(data: Any) -> str:
    return " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in data.items()
        if key not in ENVELOPE
    )
