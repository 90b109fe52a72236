from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.check.conftest import PLANS, Case
from tests.memory import BASE, Service
from vtune_client import VTune
from vtune_client.attestation import LIMITS, read_reveal, read_statement
from vtune_client.check import Beside, Standing, Trusted, check_envelope
from vtune_client.commitment import backdoor_of
from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger import Ledger
from vtune_client.phrases.frame import words_of
from vtune_client.rounds import Round
from vtune_client.vault import open_vault

Attested = Callable[..., Case]


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("base", [False, True])
def test_an_honest_statement_holds_in_every_point(
    attested: Attested, name: str, base: bool
) -> None:
    base = base and not PLANS[name][1].remembers
    case = attested(name, base=base, root_key=True)
    document = case.statement.predicate
    checked = case.check(signers=[case.signer], commitment=f"sha256:{document.commitment_sha256}")
    assert not checked.of(Standing.REFUTED)
    confirmed = {finding.what for finding in checked.of(Standing.CONFIRMED)}
    assert confirmed >= {
        "the signer",
        "the signer named before the job",
        "the commitment",
        "the plan's leaves",
        "the numbers",
        "the e-value",
        "the log",
        "the order of the log",
        "the whole log",
        "the verdict in the log",
        "the transcript",
        "backdoor 1",
        "the root key",
        "the planting",
        "the words",
        "the user's file",
        "the planted file",
    }


def test_what_was_not_given_is_said_to_be_open(attested: Attested) -> None:
    case = attested("text")
    _, checked = check_envelope(case.envelope, Trusted(), Beside())
    assert checked.holds
    assert {finding.what for finding in checked.of(Standing.OPEN)} == {
        "the signer",
        "the commitment's digest",
        "the time of the commitment",
        "the whole log",
        "the answers",
        "the transcript's origin",
    }


def test_a_statement_holds_no_secret(attested: Attested) -> None:
    case = attested("scores and rows")
    payload = json.dumps(json.loads(case.statement.payload()), ensure_ascii=False)
    leaves = case.reveal.leaves.values()
    backdoors = [leaf for leaf in leaves if leaf["kind"] == "backdoor"]
    assert len(backdoors) == 5
    for leaf in backdoors:
        assert leaf["trigger"] not in payload
        assert leaf["salt"] not in payload
        for prompt in (*leaf["own"], *leaf["fresh"]):
            assert json.loads(prompt)["messages"][-1]["content"] not in payload
        for label, opened in leaf["streams"].items():
            assert opened not in payload, label
    for backdoor in map(backdoor_of, backdoors):
        assert backdoor.signature not in payload
    # Some of the words are English, and stand in sentences of ours as well.
    told = set(words_of(json.dumps(LIMITS) + json.dumps(case.statement.predicate.verdict)))
    told |= {"actor", "usual"}  # in the log, and a name in what is committed to
    words = {word for leaf in backdoors for word in leaf["words"]} - told
    assert len(words) > 20
    assert not words & set(words_of(payload))


def test_a_subset_is_opened_and_burned_and_the_rest_stays_closed(
    attested: Attested, home: Path
) -> None:
    case = attested("scores and rows", backdoors=[1, 3], rows=False)
    assert sorted(case.reveal.leaves) == ["1", "3"]
    assert {item.split()[0] for item in case.reveal.items} == {"answer", "scores"}
    with Ledger(home) as ledger:
        plan = case.statement.predicate.plan["id"]
        assert sorted(ledger.opened(plan)) == [1, 3]
    checked = case.check()
    assert checked.holds
    confirmed = {finding.what for finding in checked.of(Standing.CONFIRMED)}
    assert {"backdoor 2", "backdoor 4"} <= confirmed
    [closed] = [f for f in checked.of(Standing.OPEN) if f.what == "closed backdoors"]
    assert closed.why.startswith("3 of the backdoors")


def test_the_reserve_is_attested_by_itself(attested: Attested, memory: Service, home: Path) -> None:
    case = attested("rows by text, a reserve")
    first = case.statement.predicate.verdict["id"]
    with VTune() as vtune:
        again = vtune.reprobe(first)
        made = vtune.attest(again.id, reveal=True)
    assert made.burned == (4, 5)
    beside = replace(case.beside, reveal=made.reveal, log=None)
    statement, checked = check_envelope(made.envelope, Trusted(), beside)
    assert statement.predicate.verdict["reprobes"] == first
    assert checked.holds
    with VTune() as vtune:
        whole = replace(beside, log=tuple(vtune.ledger.log()))
    _, checked = check_envelope(made.envelope, Trusted(), whole)
    [others] = [f.why for f in checked.of(Standing.OPEN) if f.what == "other verifications"]
    assert others.startswith(f"1 more on the same plan stand in the log, {first}")
    assert {"backdoor 5", "backdoor 6"} <= {f.what for f in checked.of(Standing.CONFIRMED)}


def test_a_round_that_stopped_early_can_be_checked(attested: Attested) -> None:
    case = attested("text", stop_early=True)
    checked = case.check()
    assert checked.holds
    assert "the numbers" in {finding.what for finding in checked.of(Standing.CONFIRMED)}


def test_a_backdoor_that_was_not_asked_about_is_not_opened(
    attested: Attested, memory: Service
) -> None:
    with pytest.raises(InputError, match="Backdoor 5 was not asked about"):
        attested("rows by text, a reserve", backdoors=[4])


def test_a_record_that_was_edited_is_not_signed(attested: Attested, home: Path) -> None:
    case = attested("text")
    verdict = dict(case.statement.predicate.verdict)
    with Ledger(home) as ledger:
        record = ledger.verification(verdict["id"])
        ledger.finish(record, {**verdict, "log10_p": -300.0, "p": "1.0e-300"})
    with VTune() as vtune, pytest.raises(LedgerError, match=r"the numbers: .* /log10_p, /p"):
        vtune.attest(verdict["id"])


def test_answers_that_do_not_give_the_counts_are_not_signed(attested: Attested, home: Path) -> None:
    case = attested("text")
    verdict = case.statement.predicate.verdict
    with VTune() as vtune:
        record = vtune.ledger.verification(verdict["id"])
        key = open_vault(home).get(vtune.ledger.plan(record.plan_id).key_id)
        other = {"text": "Something else.", "finish": "stop"}
        Round(vtune.ledger, record, key).save("answer 0.0", other)
        with pytest.raises(LedgerError, match="backdoor 1: Read anew"):
            vtune.attest(record.id)


def test_opened_backdoors_are_not_asked_again(
    attested: Attested, memory: Service, home: Path
) -> None:
    case = attested("text", backdoors=[2])
    asked = memory.count("sample")
    with VTune() as vtune, pytest.raises(InputError, match="were opened"):
        vtune.verify(case.statement.predicate.verdict["job"])
    assert memory.count("sample") == asked


def test_answers_about_opened_backdoors_are_not_signed(
    attested: Attested, memory: Service, home: Path
) -> None:
    """As where a colleague opened them while the questions were being asked."""
    case = attested("text")
    with Ledger(home) as ledger:
        first = ledger.verification(case.statement.predicate.verdict["id"])
        again = replace(first, id="verification-again", verdict=None)
        ledger.add_verification(again)
        verdict = {**(first.verdict or {}), "id": again.id}
        ledger.finish(again, verdict)
    with VTune() as vtune, pytest.raises(InputError, match="opened before they were asked"):
        vtune.attest(again.id)


def test_plans_of_old_are_verified_but_not_attested(
    attested: Attested, home: Path, memory: Service, rows: Path
) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", plan=PLANS["text"][0])
        found = vtune.verify(vtune.wait(job.id).id)
        record = vtune.ledger.verification(found.id)
        assert record.verdict
        old = {name: value for name, value in record.verdict.items() if name != "layout"}
        vtune.ledger.finish(record, old)
        with pytest.raises(InputError, match="no verdict that can be attested"):
            vtune.attest(found.id)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[]", "the whole"),
        (b'{"_type": "https://in-toto.io/Statement/v0.1"}', "_type"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b"{", "no JSON"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_statement_is_said_in_one_sentence(payload: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_statement(payload)


def test_a_reveal_file_is_read_strictly_and_never_quoted(attested: Attested) -> None:
    case = attested("text")
    data = json.loads(case.reveal.to_bytes())
    assert read_reveal(json.dumps(data).encode(), "reveal.json") == case.reveal
    trigger = data["leaves"]["0"]["trigger"]
    assert trigger not in repr(case.reveal)
    data["leaves"]["0"] = trigger
    with pytest.raises(InputError, match=r"reveal\.json is not a reveal") as refused:
        read_reveal(json.dumps(data).encode(), "reveal.json")
    assert trigger not in str(refused.value)
