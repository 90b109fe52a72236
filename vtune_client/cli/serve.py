"""`vtune serve`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vtune_client.cli.connection import pair
from vtune_client.cli.output import format_option, say
from vtune_client.errors import InputError

if TYPE_CHECKING:
    from vtune_client.serve.config import ServeConfig

KEYS_VARIABLE = "VTUNE_SERVE_KEYS"
EXTRA = ("starlette", "uvicorn", "python_multipart")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Others need keys.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 picks a free one.",
)
@click.option("--home", "folder", type=click.Path(file_okay=False), help="Where it keeps things.")
@click.option(
    "--base",
    "bases",
    multiple=True,
    metavar="NAME[=DIR]",
    help="A model to train and to serve.  [default: smollm2-135m-instruct]",
)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="One of the training recipe."
)
@click.option("--provider", default="local", show_default=True, help="Who trains and serves.")
@click.option(
    "--vendor",
    default="honest",
    show_default=True,
    metavar="NAME[=VALUE]",
    help="How honestly it trains and answers.",
)
@click.option(
    "--vendor-lines",
    type=click.Path(exists=True, dir_okay=False),
    help="Lines of an upload that a vendor is told to carry: numbers from 1, one per line.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[=VALUE][*TIMES]",
    help="Something that is to go wrong.",
)
@click.option("--max-upload-mb", type=click.IntRange(1), default=512, show_default=True)
@click.option(
    "--keys-file",
    type=click.Path(exists=True, dir_okay=False),
    help=f"API keys, one per line; or {KEYS_VARIABLE}, with commas between them.",
)
@format_option
def serve(
    host: str,
    port: int,
    folder: str | None,
    bases: tuple[str, ...],
    options: tuple[str, ...],
    provider: str,
    vendor: str,
    vendor_lines: str | None,
    faults: tuple[str, ...],
    max_upload_mb: int,
    keys_file: str | None,
    format_: str,
) -> None:
    """Offer fine-tuning on this machine as a service, in the shapes of OpenAI and of Together.

    Jobs train for real and outlive the service. Stop it with Ctrl-C.
    """
    _require_extra()
    from vtune_client.home import home
    from vtune_client.serve.config import MIB, ServeConfig
    from vtune_client.serve.faults import parse_fault

    config = ServeConfig(
        home=Path(folder) if folder else home() / "serve",
        bases=dict(_base(text) for text in bases or ("smollm2-135m-instruct",)),
        recipe=dict(pair(text, "--option") for text in options),
        keys=_keys(keys_file),
        provider=provider,
        vendor=vendor,
        vendor_lines=_lines(vendor_lines),
        faults=tuple(parse_fault(text) for text in faults),
        max_bytes=max_upload_mb * MIB,
    )
    _run(config, host, port, format_)


def _run(config: ServeConfig, host: str, port: int, format_: str) -> None:
    from vtune_client.serve.run import Running, check_host
    from vtune_client.serve.service import Service

    check_host(host, config.keys)
    running = Running(Service(config), host, port)
    urls = {"openai": f"{running.root}/v1", "together": f"{running.root}/together"}
    if format_ == "json":
        say(json.dumps({"url": running.root, **urls, "pid": os.getpid()}))
    lines = [f"{name:<9} {url}" for name, url in urls.items()]
    click.echo("\n".join([f"Serving {', '.join(config.bases)}:", *lines]), err=True)
    running.serve()


def _base(text: str) -> tuple[str, str]:
    name, _, directory = text.partition("=")
    return name, directory or name


def _lines(path: str | None) -> tuple[int, ...]:
    text = Path(path).read_text(encoding="utf-8") if path else ""
    try:
        return tuple(map(int, text.split()))
    except ValueError:
        raise InputError(
            f"{path} holds something else than numbers.", "Write one line number per line."
        ) from None


def _keys(path: str | None) -> tuple[str, ...]:
    """Return the keys of the file, else those of the environment; never of the command line."""
    if path is None:
        given = os.environ.get(KEYS_VARIABLE, "").split(",")
    else:
        file = Path(path)
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            click.echo(f"warning: others can read {path}; run: chmod 600 {path}", err=True)
        given = file.read_text(encoding="utf-8").splitlines()
    return tuple(key.strip() for key in given if key.strip())


def _require_extra() -> None:
    from importlib.util import find_spec

    from vtune_client.errors import MissingExtra

    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"What `vtune serve` runs on ({', '.join(missing)})", "serve")
