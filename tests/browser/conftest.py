from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.report.conftest import runs
from tests.report.runs import Runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["runs"]


@pytest.fixture(scope="module")
def browser(runs: Runs) -> Iterator[Browser]:
    """A headless Chromium; its tests are skipped where there is none.

    While it is open a loop of its own runs in this thread, and no other can: so `runs` are made
    before, and it is closed before tests that are async."""
    pytest.importorskip("playwright")
    if chromium.PATH is None:
        pytest.skip("there is no Chromium on this machine: install one, or name it VTUNE_CHROMIUM")
    with chromium.browser() as found:
        yield found
