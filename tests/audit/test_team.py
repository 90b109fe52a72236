"""An audit on a ledger that a team shares."""

from __future__ import annotations

import pytest

from tests.audit.conftest import Audited, state
from tests.audit.test_runner import GROUP
from tests.memory import Service
from tests.postgresql import Cluster
from vtune_client.errors import LedgerError
from vtune_client.ledger import Ledger


def test_two_machines_do_not_do_one_audit_at_once(
    audited: Audited, memory: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = cluster.new()
    monkeypatch.setenv("VTUNE_LEDGER", url)
    with Ledger.at(url) as colleague:
        release = colleague.claim("audit test")
        assert release is not None
        with pytest.raises(LedgerError, match="Another process is at work on the audit test"):
            audited()
        assert memory.calls == []
        release()
        assert audited()["exit_code"] == 0
        again = colleague.claim("audit test")  # it was let go of
        assert again is not None
        again()


def test_its_runs_are_kept_there(
    audited: Audited, memory: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_LEDGER", cluster.new())
    first = audited(GROUP)
    calls = list(memory.calls)
    assert state(first) == {"reference": "holds", "acme": "holds", "cheap": "holds"}
    assert audited(GROUP)["checks"] == first["checks"]
    assert memory.calls == calls
