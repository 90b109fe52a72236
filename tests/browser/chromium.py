"""A real browser, without a window and without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATH = os.environ.get("VTUNE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
A4 = (794, 1123)  # CSS pixels


@contextmanager
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=PATH, args=FLAGS)
        try:
            yield chromium
        finally:
            chromium.close()


@dataclass
class Visit:
    """A page that was opened, what it asked for and what it complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def visit(
    chromium: Browser,
    file: Path,
    *,
    scheme: Literal["light", "dark"] = "light",
    size: tuple[int, int] = (1100, 900),
    scale: float = 1,
) -> Iterator[Visit]:
    """Open a file of this machine in a window of that size."""
    context = chromium.new_context(
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=scale,
        offline=True,
    )
    try:
        page = context.new_page()
        made = Visit(page)
        page.on("request", lambda request: made.requests.append(request.url))
        page.on(
            "console",
            lambda told: made.errors.append(told.text) if told.type == "error" else None,
        )
        page.on("pageerror", lambda error: made.errors.append(str(error)))
        page.goto(file.as_uri())
        yield made
    finally:
        context.close()
