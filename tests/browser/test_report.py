"""The report as a browser shows it: nothing loaded, nothing out of reach, nothing cut off."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.browser.chromium import A4, Visit, visit
from tests.report.runs import Runs
from vtune_client.report.gather import gather
from vtune_client.report.html import html

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WINDOW, PHONE = (1100, 900), (360, 740)
GRAVE = ("serious", "critical")


def written(runs: Runs, name: str, folder: Path, *, reveal: bool = False) -> Path:
    transcript = runs.transcript(name) if reveal else None
    page = folder / "report.html"
    page.write_text(html(gather(runs.ledger, runs.ids[name], transcript)), encoding="utf-8")
    return page


def violations(seen: Visit) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    found = Axe().run(seen.page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in GRAVE
    ]


@pytest.mark.parametrize(
    ("name", "scheme", "size"),
    [
        ("verified", "light", WINDOW),
        ("verified", "dark", WINDOW),
        ("verified", "light", PHONE),
        ("a part", "dark", PHONE),
        ("not verified", "dark", WINDOW),
        ("inconclusive", "light", PHONE),
        ("hostile", "light", WINDOW),
    ],
)
def test_a_page_is_quiet_and_accessible(
    runs: Runs,
    browser: Browser,
    tmp_path: Path,
    name: str,
    scheme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    pytest.importorskip("axe_playwright_python")
    file = written(runs, name, tmp_path, reveal=name == "hostile")
    with visit(browser, file, scheme=scheme, size=size) as seen:
        page = seen.page
        page.screenshot(path=tmp_path / "report.png", full_page=True)
        assert seen.requests == [file.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
        assert dark == (scheme == "dark")
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert violations(seen) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert seen.errors == []
    assert (tmp_path / "report.png").stat().st_size > 10_000


def test_the_policy_stops_what_escaping_would_miss(
    runs: Runs, browser: Browser, tmp_path: Path
) -> None:
    file = written(runs, "verified", tmp_path)
    hostile = "<script>document.title = 'ran'</script><img src='https://example.org/x.png'></main>"
    file.write_text(file.read_text("utf-8").replace("</main>", hostile), encoding="utf-8")
    with visit(browser, file) as seen:
        assert seen.page.title().startswith("Verified")
        assert len([error for error in seen.errors if "Content Security Policy" in error]) == 2


def test_in_print_everything_is_open_and_ink_is_dark(
    runs: Runs, browser: Browser, tmp_path: Path
) -> None:
    file = written(runs, "verified", tmp_path)
    with visit(browser, file, scheme="dark", size=A4) as seen:
        page = seen.page
        rows = page.locator("#numbers-loss tbody tr").first
        assert not rows.is_visible()
        page.emulate_media(media="print")
        assert rows.is_visible()
        ink = page.evaluate("getComputedStyle(document.body).color")
        assert ink == "rgb(0, 0, 0)"
        wide = page.evaluate(
            "[...document.querySelectorAll('table, svg, pre')].filter("
            "each => each.getBoundingClientRect().right > innerWidth + 1).length"
        )
        assert wide == 0


def test_every_part_can_be_reached_by_keyboard(
    runs: Runs, browser: Browser, tmp_path: Path
) -> None:
    with visit(browser, written(runs, "verified", tmp_path), size=PHONE) as seen:
        seen.page.keyboard.press("Tab")
        # What a key does is done when the browser gets to it.
        seen.page.wait_for_selector(".skip:focus")
        assert seen.page.evaluate("document.activeElement.offsetLeft") >= 0
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url("**#main")
        headings = seen.page.evaluate(
            "[...document.querySelectorAll('h1,h2,h3')].map(each => Number(each.tagName[1]))"
        )
        steps = pairwise(headings)
        assert headings[0] == 1
        assert headings.count(1) == 1
        assert all(after <= before + 1 for before, after in steps)
