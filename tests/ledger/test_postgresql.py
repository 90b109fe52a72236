"""The ledger on a PostgreSQL server that a team shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.ledger.records import JOB, PLAN
from tests.postgresql import Cluster
from tests.simulator import Hurried, Service, Simulator
from vtune_client.errors import InputError, LedgerError
from vtune_client.job import JobRunner
from vtune_client.ledger import Ledger, Step
from vtune_client.ledger.database import FILE_NAME, VARIABLE


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.new()


def test_two_homes_share_one(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, url)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with Ledger(tmp_path / "one") as one, Ledger(tmp_path / "two") as two, Ledger.at(url) as three:
        one.add_plan(PLAN)
        two.add_job(JOB)
        assert three.update(one.job("job-1"), step=Step.UPLOADING) == two.job("job-1")
    assert not list(tmp_path.rglob(FILE_NAME))
    with Ledger.in_home(tmp_path) as own:  # the variable does not count here
        assert own.plans() == []
    assert list(tmp_path.rglob(FILE_NAME)) == [tmp_path / FILE_NAME]


def test_a_short_address_is_enough(url: str) -> None:
    with Ledger.at(url.replace("postgresql+psycopg", "postgresql")) as ledger:
        assert ledger.plans() == []


@pytest.mark.parametrize("address", ["", "sqlite:///x", "mysql://a@b/c", "no address", "http://["])
def test_another_kind_of_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="VTUNE_LEDGER names no PostgreSQL") as caught:
        Ledger.at(address)
    assert "postgresql+psycopg://user@host/database" in caught.value.advice


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError, match="cannot be read") as caught:
        Ledger.at(f"postgresql://me:hidden-word@/audits?host={tmp_path}&sslpassword=other-word")
    assert "postgresql://me:***@/audits" in str(caught.value)
    assert "VTUNE_LEDGER" in caught.value.advice
    assert "-word" not in str(caught.value)
    assert "-word" not in repr(caught.value.__cause__)


def test_a_write_is_on_disk_though_the_server_would_be_quicker(cluster: Cluster, url: str) -> None:
    database = "postgres"
    cluster.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    try:
        with Ledger.at(url) as ledger, ledger._database.reading() as connection:
            (told,) = connection.exec_driver_sql("SHOW synchronous_commit").one()
    finally:
        cluster.execute(f"ALTER DATABASE {database} RESET synchronous_commit")
    assert told == "on"


def test_a_lost_connection_is_made_again(cluster: Cluster, url: str) -> None:
    with Ledger.at(url) as ledger:
        ledger.add_plan(PLAN)
        cluster.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        assert ledger.plans() == [PLAN]


def test_a_value_that_was_refused_is_not_told(url: str) -> None:
    with Ledger.at(url) as ledger:
        ledger.add_plan(PLAN)
        with pytest.raises(LedgerError, match="cannot be written: duplicate key") as caught:
            ledger.add_plan(PLAN)
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__}"
    assert PLAN.source not in shown
    assert "\\x0001" not in shown


def test_who_may_only_write_can_keep_the_ledger_and_not_change_its_log(
    cluster: Cluster, url: str
) -> None:
    """The tables belong to another: with these rights the triggers cannot be taken away."""
    with Ledger.at(url) as ledger:
        ledger.add_plan(PLAN)
    schema = str(make_url(url).query["options"]).rpartition("=")[2]
    role = f"auditor_{schema}"
    cluster.execute(f"CREATE ROLE {role} LOGIN")
    cluster.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    cluster.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
    )
    cluster.execute(f"REVOKE UPDATE, DELETE ON {schema}.log FROM {role}")
    with Ledger.at(make_url(url).set(username=role).render_as_string()) as ledger:
        ledger.add_job(JOB)
        assert [entry.action for entry in ledger.log()][-1] == "job added"
        for statement in ("ALTER TABLE log DISABLE TRIGGER ALL", "DELETE FROM log"):
            assert not ledger.sweep()
            refused = pytest.raises(LedgerError, match=r"permission denied|must be owner")
            with refused, ledger._writing() as connection:
                connection.exec_driver_sql(statement)


async def test_a_job_is_driven_on_one_machine_at_a_time(url: str, tmp_path: Path) -> None:
    """The lock file of one machine says nothing to another: two would pay twice."""
    with Ledger.at(url) as ours, Ledger.at(url) as theirs:
        ours.add_plan(PLAN)
        ours.add_job(JOB)
        runner = JobRunner(ours, tmp_path, lambda _: pytest.fail("not needed"), Hurried())
        release = theirs.claim(JOB.id)
        assert release is not None
        other = theirs.claim("job-2")
        assert other is not None
        other()
        with pytest.raises(LedgerError, match="Another process has been at work on job job-1"):
            await runner.cancel(JOB, Simulator(Service()))
        assert ours.job(JOB.id) == JOB
        release()
        assert (await runner.cancel(JOB, Simulator(Service()))).step is Step.DONE
        again = theirs.claim(JOB.id)  # the runner let go of it
        assert again is not None
        again()


def test_a_claim_ends_with_its_session(cluster: Cluster, url: str) -> None:
    with Ledger.at(url) as ours, Ledger.at(url) as theirs:
        release = theirs.claim(JOB.id)
        assert release is not None
        assert ours.claim(JOB.id) is None
        cluster.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
        )
        again = ours.claim(JOB.id)
        assert again is not None
        again()
        release()  # of what is lost already
        assert theirs.plans() == []
