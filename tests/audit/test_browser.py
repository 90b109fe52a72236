"""The audit's page as a browser shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

pytest.importorskip("playwright")

from tests.audit.conftest import ONE, Audited
from tests.audit.test_runner import GROUP, aged
from tests.browser import chromium
from tests.memory import Service

pytestmark = pytest.mark.skipif(chromium.PATH is None, reason="there is no Chromium")

GRAVE = ("serious", "critical")


@pytest.fixture
def page(audited: Audited, memory: Service, folder: Path, home: Path) -> Path:
    """An audit with checks that hold, fail, are open, and were done twice."""
    memory.mute = {"tuned-by-remote-1", "tuned-by-remote-3"}
    checks = GROUP + ONE.replace('"one"', '"silent"') + 'every = "1d"\nagain = "ask"\n'
    outputs = 'html = "audit.html"\nreports = "each"\n'
    audited(checks, outputs)
    aged(home, 2 * 86400)
    memory.mute -= {"tuned-by-remote-3"}
    audited(checks, outputs)
    return folder / "audit.html"


def test_it_is_quiet_and_accessible(page: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    looks: list[tuple[Literal["light", "dark"], tuple[int, int]]] = [
        ("light", (1000, 800)),
        ("dark", (1000, 800)),
        ("light", (360, 740)),
    ]
    with chromium.browser() as browser:
        for scheme, size in looks:
            with chromium.visit(browser, page, scheme=scheme, size=size) as seen:
                seen.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = 1)")
                found = axe.run(seen.page).response["violations"]
                assert [each["id"] for each in found if each["impact"] in GRAVE] == []
                assert (seen.requests, seen.errors) == ([page.as_uri()], [])
                assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0]
                assert seen.page.locator("svg.chart").count() == 1
                seen.page.screenshot(path=page.with_suffix(f".{scheme}.png"), full_page=True)
        with chromium.visit(browser, page) as seen:
            seen.page.get_by_role("link", name="The full report of reference").click()
            assert seen.page.title().startswith("Verified")
