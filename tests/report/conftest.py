from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.report.runs import Runs, make_runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Verifications of every kind; they are read, and no test changes them."""
    made = make_runs(tmp_path_factory.mktemp("runs"))
    yield made
    made.ledger.close()
