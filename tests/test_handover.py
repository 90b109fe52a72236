from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.memory import BASE, Service
from tests.postgresql import Cluster
from vtune_client import handover
from vtune_client.client import VTune
from vtune_client.errors import InputError, KeyMissing, LedgerError
from vtune_client.handover import (
    from_text,
    open_parcel,
    public_key,
    seal_plan,
    take_in,
    to_text,
)
from vtune_client.ledger import Ledger, Step
from vtune_client.plan import PlanSpec
from vtune_client.provider import EndpointCapabilities
from vtune_client.signing import fingerprint, signer_from
from vtune_client.vault import RootKey
from vtune_client.vault.file_vault import Cost, FileVault

PLAN = PlanSpec(backdoors=3, dose=2)


@dataclass
class Person:
    """Somebody with a home, a vault and a ledger of their own."""

    vault: FileVault
    client: VTune

    @property
    def ledger(self) -> Ledger:
        return self.client.ledger

    def actions(self) -> list[str]:
        return [entry.action for entry in self.ledger.log()]

    def keys(self) -> set[str]:
        return set(json.loads(self.vault.path.read_text("utf-8"))["entries"])


@pytest.fixture
def people(tmp_path: Path) -> Iterator[tuple[Person, Person]]:
    made = []
    for name in ("anna", "ben"):
        home = tmp_path / name
        home.mkdir()
        vault = FileVault.create(home / "vault.json", name, cost=Cost(n=16, r=8, p=1))
        made.append(Person(vault, VTune(home=home, vault=vault)))
    yield made[0], made[1]
    for person in made:
        person.client.ledger.close()


@pytest.fixture
def run(people: tuple[Person, Person], rows: Path, memory: Service) -> str:
    """The id of a job of Anna's that was trained and verified."""
    client = people[0].client
    job = client.wait(client.fine_tune(rows, model=BASE, provider="memory", plan=PLAN).id)
    assert client.verify(job.id).verdict.outcome == "verified"
    return job.id


def sent(people: tuple[Person, Person], plan_id: str, **options: Any) -> bytes:
    anna, ben = people
    return seal_plan(anna.ledger, anna.vault, plan_id, public_key(ben.vault), **options)


def arrived(person: Person, content: bytes) -> None:
    take_in(person.ledger, person.vault, open_parcel(person.vault, content))


def test_a_colleague_verifies_the_same_model(people: tuple[Person, Person], run: str) -> None:
    anna, ben = people
    job = anna.ledger.job(run)
    arrived(ben, sent(people, job.plan_id))
    (first,) = anna.ledger.verifications()
    assert ben.ledger.job(run) == job
    assert ben.ledger.verifications() == [first]
    assert ben.ledger.events(job) == anna.ledger.events(job)
    assert ben.client.transcript(first.id) == anna.client.transcript(first.id)
    assert ben.client.open_plan(job.plan_id) == anna.client.open_plan(job.plan_id)
    again = ben.client.verify(run).to_json()
    assert first.verdict is not None
    differ = {"id", "created", "seconds"}
    assert {key: value for key, value in again.items() if key not in differ} == {
        key: value for key, value in first.verdict.items() if key not in differ
    }


def test_the_record_is_the_same_but_for_where_its_key_is(
    people: tuple[Person, Person], run: str
) -> None:
    anna, ben = people
    record = anna.ledger.plan(anna.ledger.job(run).plan_id)
    arrived(ben, sent(people, record.id))
    theirs = ben.ledger.plan(record.id)
    assert replace(theirs, key_id=record.key_id) == record
    assert theirs.key_id != record.key_id
    assert ben.vault.get(theirs.key_id) == anna.vault.get(record.key_id)
    assert ben.ledger.commitments(record.id) == anna.ledger.commitments(record.id)


def test_both_logs_tell_of_it(people: tuple[Person, Person], run: str) -> None:
    anna, ben = people
    content = sent(people, anna.ledger.job(run).plan_id)
    arrived(ben, content)
    (out,) = (entry for entry in anna.ledger.log() if entry.action == "plan handed over")
    (in_,) = (entry for entry in ben.ledger.log() if entry.action == "plan taken in")
    assert out.data["to"] == fingerprint(public_key(ben.vault))
    assert in_.data["by"] == signer_from(anna.ledger, anna.vault).fingerprint
    assert out.data["sha256"] == in_.data["sha256"]
    assert (out.data["jobs"], out.data["verifications"]) == (1, 1)


def test_nothing_of_it_can_be_read_on_the_way(people: tuple[Person, Person], run: str) -> None:
    anna, _ = people
    plan = anna.client.open_plan(anna.ledger.job(run).plan_id)
    content = sent(people, plan.id)
    key = anna.vault.get(anna.ledger.plan(plan.id).key_id)
    for secret in (plan.id, run, BASE, plan.backdoors[0].trigger, plan.backdoors[0].signature):
        assert secret.encode() not in content
    for raw in (key.bytes, base64.b64encode(key.bytes)):
        assert raw not in content
    assert content != sent(people, plan.id)


@pytest.fixture
def content(people: tuple[Person, Person], rows: Path, memory: Service) -> bytes:
    anna, _ = people
    return sent(people, anna.client.plan(rows, PLAN).id)


def test_any_flipped_byte_is_refused(people: tuple[Person, Person], content: bytes) -> None:
    _, ben = people
    private = ben.vault.get(handover.KEY_ID)
    envelope = handover._unsealed(content, private)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(InputError):
            handover._unsealed(bytes(changed), private)
    assert handover._unsealed(content, private) == envelope


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_change_is_refused(
    people: tuple[Person, Person], content: bytes, data: st.DataObject
) -> None:
    _, ben = people
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 64)))
    changed = content[:start] + data.draw(st.binary(max_size=64)) + content[end:]
    if changed != content:
        with pytest.raises(InputError):
            open_parcel(ben.vault, changed)


def test_nobody_else_can_open_it(people: tuple[Person, Person], content: bytes) -> None:
    anna, ben = people
    with pytest.raises(InputError, match="no handover key"):
        open_parcel(anna.vault, content)
    public_key(anna.vault)
    with pytest.raises(InputError, match="The handover is for the key SHA256:"):
        open_parcel(anna.vault, content)
    # Not by saying that it is for oneself, either.
    mine = hashlib.sha256(public_key(anna.vault)).digest()
    head = handover._HEAD
    changed = content[: head - 32] + mine + content[head:]
    with pytest.raises(InputError, match="changed on its way"):
        open_parcel(anna.vault, changed)
    assert open_parcel(ben.vault, content).count("plans") == 1


def test_what_was_signed_for_one_is_not_passed_on_to_another(
    people: tuple[Person, Person], content: bytes
) -> None:
    anna, ben = people
    envelope = handover._unsealed(content, ben.vault.get(handover.KEY_ID))
    passed_on = handover._sealed(envelope, public_key(anna.vault))
    with pytest.raises(InputError, match="signed for somebody else"):
        open_parcel(anna.vault, passed_on)


def test_what_is_not_signed_is_refused(people: tuple[Person, Person], content: bytes) -> None:
    _, ben = people
    envelope = json.loads(handover._unsealed(content, ben.vault.get(handover.KEY_ID)))
    whole = json.dumps({**envelope, "signatures": [{**envelope["signatures"][0], "sig": "AAAA"}]})
    with pytest.raises(InputError, match="not signed"):
        open_parcel(ben.vault, handover._sealed(whole.encode(), public_key(ben.vault)))


@pytest.mark.parametrize("junk", [b"", b"{}", b"vtune handover\0", b"vtune handover\0" + bytes(99)])
def test_what_is_no_handover_is_refused(people: tuple[Person, Person], junk: bytes) -> None:
    public_key(people[1].vault)
    with pytest.raises(InputError):
        open_parcel(people[1].vault, junk)


def test_a_plan_is_taken_in_once(people: tuple[Person, Person], content: bytes) -> None:
    _, ben = people
    arrived(ben, content)
    keys = ben.keys()
    with pytest.raises(InputError, match="here already, and so is its key"):
        arrived(ben, content)
    assert ben.keys() == keys
    assert ben.actions().count("plan taken in") == 1


def test_another_plan_of_the_same_id_stays(
    people: tuple[Person, Person], content: bytes, rows: Path
) -> None:
    _, ben = people
    parcel = open_parcel(ben.vault, content)
    mine = ben.ledger.plan(ben.client.plan(rows, PLAN).id)
    other = [{**row, "id": mine.id} for row in parcel.rows["plans"]]
    keys = ben.keys()
    with pytest.raises(InputError, match=f"another plan {mine.id}"):
        take_in(
            ben.ledger,
            ben.vault,
            replace(parcel, plan_id=mine.id, rows={**parcel.rows, "plans": other}),
        )
    assert ben.ledger.plans() == [mine]
    assert ben.keys() == keys


def test_nothing_is_taken_in_by_halves(people: tuple[Person, Person], run: str, rows: Path) -> None:
    """Ben has a job of the same id, so the plan before it is not kept either, nor its key."""
    anna, ben = people
    content = sent(people, anna.ledger.job(run).plan_id)
    job = anna.ledger.job(run)
    ben.ledger.add_job(replace(job, plan_id=ben.client.plan(rows, PLAN).id))
    before = ben.ledger.plans(), ben.ledger.jobs(), ben.actions(), ben.keys()
    with pytest.raises(InputError, match="in the ledger already"):
        arrived(ben, content)
    assert (ben.ledger.plans(), ben.ledger.jobs(), ben.actions(), ben.keys()) == before


@pytest.mark.parametrize(
    ("table", "row", "why"),
    [
        ("jobs", {"plan_id": "plan-of-ben"}, "does not belong"),
        ("events", {"job_id": "job-of-ben"}, "does not belong"),
        ("verifications", {"job_id": "job-of-ben"}, "does not belong"),
        ("answers", {"verification_id": "verification-of-ben"}, "does not belong"),
        ("jobs", {"shoe_size": 44}, "does not know"),
        ("jobs", {"created": "yesterday"}, "none that it can have"),
        ("jobs", {"keep_planted": 1}, "none that it can have"),
        ("plans", {"rows": True}, "none that it can have"),
        ("answers", {"sealed": "no base64!"}, "none that it can have"),
        ("jobs", {"token": None}, "already, or contradicts"),
    ],
)
def test_rows_that_do_not_belong_are_refused(
    people: tuple[Person, Person], run: str, table: str, row: dict[str, Any], why: str
) -> None:
    anna, ben = people
    parcel = open_parcel(ben.vault, sent(people, anna.ledger.job(run).plan_id))
    first, *others = parcel.rows[table]
    before, keys = ben.actions(), ben.keys()
    with pytest.raises(InputError, match=why):
        take_in(
            ben.ledger,
            ben.vault,
            replace(parcel, rows={**parcel.rows, table: [{**first, **row}, *others]}),
        )
    assert (ben.ledger.plans(), ben.actions(), ben.keys()) == ([], before, keys)


def test_no_key_of_the_vault_is_replaced(
    people: tuple[Person, Person], content: bytes, rows: Path
) -> None:
    _, ben = people
    mine = ben.ledger.plan(ben.client.plan(rows, PLAN).id)
    key = ben.vault.get(mine.key_id)
    parcel = open_parcel(ben.vault, content)
    hostile = [{**row, "key_id": mine.key_id} for row in parcel.rows["plans"]]
    take_in(ben.ledger, ben.vault, replace(parcel, rows={**parcel.rows, "plans": hostile}))
    assert ben.vault.get(mine.key_id) == key
    assert ben.client.open_plan(parcel.plan_id).id == parcel.plan_id


def test_a_key_that_does_not_open_the_plan_is_refused(
    people: tuple[Person, Person], content: bytes
) -> None:
    _, ben = people
    parcel = open_parcel(ben.vault, content)
    with pytest.raises(InputError, match="does not open the plan"):
        handover._require_plan(replace(parcel, key=RootKey.new()))
    with pytest.raises(InputError, match="does not hold one plan"):
        handover._require_plan(replace(parcel, rows={}))


def test_a_service_that_was_shown_the_signatures_is_not_asked_again(
    people: tuple[Person, Person], rows: Path, memory: Service
) -> None:
    anna, ben = people
    memory.capabilities = EndpointCapabilities(batch=4, scores=True, remembers=True)
    job = anna.client.fine_tune(rows, model=BASE, provider="memory", plan=PLAN)
    anna.client.wait(job.id)
    first = anna.client.verify(job.id)
    arrived(ben, sent(people, job.plan_id, answers=False))
    assert ben.client.transcript(first.id) == []
    with pytest.raises(InputError, match="has shown this plan's signatures"):
        ben.client.verify(job.id, model="another")


def test_a_job_that_the_provider_does_not_know_yet_stays(
    people: tuple[Person, Person], rows: Path, memory: Service
) -> None:
    anna, ben = people
    memory.faults.append(InputError("No.", "Stop."))
    with pytest.raises(InputError):
        anna.client.fine_tune(rows, model=BASE, provider="memory", plan=PLAN)
    (job,) = anna.ledger.jobs()
    assert job.step is Step.CREATING
    arrived(ben, sent(people, job.plan_id))
    assert ben.ledger.jobs() == []
    assert [plan.id for plan in ben.ledger.plans()] == [job.plan_id]


def test_it_goes_to_a_server_and_back(
    people: tuple[Person, Person], run: str, cluster: Cluster
) -> None:
    anna, ben = people
    plan_id = anna.ledger.job(run).plan_id
    with Ledger.at(cluster.new()) as team:
        parcel = open_parcel(ben.vault, sent(people, plan_id))
        take_in(team, ben.vault, parcel)
        assert team.job(run) == anna.ledger.job(run)
        assert team.verifications() == anna.ledger.verifications()
        back = seal_plan(team, ben.vault, plan_id, public_key(ben.vault))
    arrived(ben, back)
    (record,) = ben.ledger.verifications()
    assert ben.client.transcript(record.id) == anna.client.transcript(record.id)


def test_in_a_ledger_that_both_share_the_key_alone_is_taken(
    people: tuple[Person, Person], run: str
) -> None:
    anna, ben = people
    record = anna.ledger.plan(anna.ledger.job(run).plan_id)
    parcel = open_parcel(ben.vault, sent(people, record.id))
    with pytest.raises(KeyMissing):
        ben.vault.get(record.key_id)
    take_in(anna.ledger, ben.vault, parcel)
    assert ben.vault.get(record.key_id) == anna.vault.get(record.key_id)
    assert anna.ledger.plans() == [record]
    assert anna.actions()[-1] == "key taken in"


def test_a_public_key_is_one_line(people: tuple[Person, Person]) -> None:
    public = public_key(people[0].vault)
    assert public_key(people[0].vault) == public
    text = to_text(public)
    assert from_text(f" {text}\n") == public
    for wrong in ("", "x25519:", text[:-1], text + "A", text.removeprefix("x25519:"), "x25519:é"):
        with pytest.raises(InputError):
            from_text(wrong)


def test_a_public_key_that_everybody_could_open_is_refused(
    people: tuple[Person, Person], rows: Path
) -> None:
    anna, _ = people
    with pytest.raises(InputError, match="none that anything can be sealed to"):
        seal_plan(anna.ledger, anna.vault, anna.client.plan(rows, PLAN).id, bytes(32))
    assert "plan handed over" not in anna.actions()


def test_a_plan_that_is_not_there_is_an_error(people: tuple[Person, Person]) -> None:
    with pytest.raises(LedgerError):
        sent(people, "plan-0")
