"""What somebody without the auditor's key can do: to the envelope, and to the files beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.check.evidence import Data, Evidence, Tamper
from vtune_client.signing import Ed25519Signer
from vtune_client.signing.keys import fingerprint, to_pem
from vtune_client.vault import RootKey

STRANGER = b"s" * 32  # somebody else's seed
WEAK = b"\1" + bytes(31)  # under which anybody can sign


@dataclass
class Tampering:
    """Named mutations, each with the point that it is found at and words of the reason.

    `what` is "" where a file cannot be read at all: then there is no finding but an error."""

    params: list[Any] = field(default_factory=list)

    def __call__(self, what: str, *words: str, marks: Any = ()) -> Callable[[Tamper], Tamper]:
        def keep(tamper: Tamper) -> Tamper:
            name = tamper.__name__.strip("_")
            self.params.append(pytest.param(tamper, what, words, id=name, marks=marks))
            return tamper

        return keep


found_at = Tampering()


def opened(e: Evidence) -> tuple[Data, Data]:
    """Return the auditor's envelope and its one signature."""
    envelope = e.signed()
    return envelope, envelope["signatures"][0]


@found_at("the signature", "does not fit the payload")
def another_outcome_under_the_old_signature(e: Evidence) -> None:
    envelope, _ = opened(e)
    e.verdict["verdict"] = "partial"
    e.send({**envelope, "payload": base64.b64encode(json.dumps(e.statement).encode()).decode()})


@found_at("the signature", "does not fit the payload")
def a_signature_with_a_bit_turned(e: Evidence) -> None:
    envelope, one = opened(e)
    raw = bytearray(base64.b64decode(one["sig"]))
    raw[7] ^= 1
    one["sig"] = base64.b64encode(raw).decode()
    e.send(envelope)


@found_at("the signature", "not base64")
def a_signature_that_is_no_base64(e: Evidence) -> None:
    envelope, one = opened(e)
    one["sig"] = "?" + one["sig"][1:]
    e.send(envelope)


@found_at("the signature", "does not fit the payload")
def another_type_of_what_was_signed(e: Evidence) -> None:
    e.send({**opened(e)[0], "payloadType": "text/plain"})


@found_at("the signer", "None of its signatures is by the key that you gave")
def a_strangers_signature(e: Evidence) -> None:
    e.send(e.signed(STRANGER))


@found_at("the signer named before the job", "another key")
def a_strangers_signature_where_no_key_was_given(e: Evidence) -> None:
    e.send(e.signed(STRANGER))
    e.key = None


@found_at("the signature", "not the one that it names")
def a_strangers_signature_in_the_auditors_name(e: Evidence) -> None:
    envelope = e.signed(STRANGER)
    envelope["signatures"][0]["keyid"] = opened(e)[1]["keyid"]
    e.send(envelope)


@found_at("the signature", "does not fit the payload")
def a_strangers_signature_beside_the_auditors_key(e: Evidence) -> None:
    envelope, own = e.signed(STRANGER), opened(e)[1]
    envelope["signatures"][0] |= {name: own[name] for name in ("keyid", "publicKey")}
    e.send(envelope)


@found_at("the signature", "anybody can sign")
def a_key_under_which_anybody_can_sign(e: Evidence) -> None:
    envelope, one = opened(e)
    one |= {"keyid": fingerprint(WEAK), "publicKey": to_pem(WEAK).decode()}
    one["sig"] = base64.b64encode(WEAK + bytes(32)).decode()
    e.send(envelope)


@found_at("the signature", "does not fit the payload")
def a_bad_signature_beside_the_good_one(e: Evidence) -> None:
    envelope, one = opened(e)
    sig = base64.b64encode(bytes(64)).decode()
    e.send({**envelope, "signatures": [one, {**one, "sig": sig}]})


@found_at("", "no signed envelope", "signatures")
def no_signature(e: Evidence) -> None:
    e.send({**opened(e)[0], "signatures": []})


@found_at("", "no signed envelope")
def a_word_beside_the_payload(e: Evidence) -> None:
    e.send({**opened(e)[0], "verdict": "verified"})


@found_at("", "no signed envelope")
def a_statement_cut_short(e: Evidence) -> None:
    e.envelope = json.dumps(opened(e)[0]).encode()[:-40]


@found_at("the signer", "None of its signatures")
def a_key_file_of_somebody_else(e: Evidence) -> None:
    e.key = to_pem(Ed25519Signer(RootKey(STRANGER)).public_key)


@found_at("", "no public key")
def a_key_file_that_is_none(e: Evidence) -> None:
    e.key = b"-----BEGIN PUBLIC KEY-----"


@found_at("", "anybody can sign")
def a_key_file_under_which_anybody_can_sign(e: Evidence) -> None:
    e.key = to_pem(WEAK)


@found_at("the commitment's digest", "not the one that you gave")
def a_commitment_of_another_job(e: Evidence) -> None:
    e.commitment = e.commitment[:-1] + ("0" if e.commitment[-1] != "0" else "1")


@found_at("the transcript", "answer 0.0")
def an_answer_made_better(e: Evidence) -> None:
    e.reveal["items"]["answer 0.0"]["value"]["text"] += " and more"


@found_at("the transcript", "2 answers or scores")
def two_answers_exchanged(e: Evidence) -> None:
    items = e.reveal["items"]
    items["answer 0.0"], items["answer 1.0"] = items["answer 1.0"], items["answer 0.0"]


@found_at("backdoor 1", "1 of its answers are not in the reveal file")
def an_answer_left_out(e: Evidence) -> None:
    del e.reveal["items"]["answer 0.1"]


@found_at("the transcript", "answer 9.0")
def an_answer_put_in(e: Evidence) -> None:
    e.reveal["items"]["answer 9.0"] = e.reveal["items"]["answer 0.0"]


@found_at("the transcript", "answer 2.1")
def the_salt_of_an_answer_changed(e: Evidence) -> None:
    e.reveal["items"]["answer 2.1"]["salt"] = "0" * 64


@found_at("the transcript", "scores delivered 3")
def the_score_of_a_signature_raised(e: Evidence) -> None:
    e.reveal["items"]["scores delivered 3"]["value"][0] += 0.5


@found_at("backdoor 4")
def the_scores_of_the_base_left_out(e: Evidence) -> None:
    del e.reveal["items"]["scores base 3"]


@found_at("leaf 0", "not what was committed to")
def a_word_of_a_signature_changed(e: Evidence) -> None:
    slots = e.leaf(0)["frame"]["slots"]
    words = e.leaf(0)["words"]
    words[3] = next(word for word in slots[3]["candidates"] if word != words[3])


@found_at("leaf 1", "not what was committed to")
def a_trigger_changed(e: Evidence) -> None:
    e.leaf(1)["trigger"] += " please"


@found_at("leaf 2", "not what was committed to")
def a_carrier_row_moved(e: Evidence) -> None:
    e.leaf(2)["lines"][0] += 1


@found_at("leaf 3", "not what was committed to")
def a_candidate_list_cut_short(e: Evidence) -> None:
    e.leaf(3)["frame"]["slots"][0]["candidates"].pop()


@found_at("leaf 4", "not what was committed to")
def the_stream_of_the_decoys_changed(e: Evidence) -> None:
    e.leaf(4)["streams"]["decoys of backdoor 4"] = "0" * 64


@found_at("leaf 0", "not what was committed to")
def two_leaves_exchanged(e: Evidence) -> None:
    leaves = e.reveal["leaves"]
    leaves["0"], leaves["1"] = leaves["1"], leaves["0"]


@found_at("leaf 77", "not what was committed to")
def a_leaf_put_in(e: Evidence) -> None:
    e.reveal["leaves"]["77"] = e.leaf(0)


@found_at("leaf 8", "not what was committed to")
def other_rows_called_withheld(e: Evidence) -> None:
    e.leaf(8)["held_out"][0] += 1


@found_at("the root key", "not the one that was committed to")
def another_root_key(e: Evidence) -> None:
    e.reveal["root_key"] = "5" * 64


@found_at("the reveal file", "another verification")
def the_reveal_file_of_another_verification(e: Evidence) -> None:
    e.reveal["verification"] = "verification-00000000"


@found_at("the reveal file", "another commitment")
def the_reveal_file_of_another_commitment(e: Evidence) -> None:
    e.reveal["commitment_sha256"] = "0" * 64


@found_at("", "reveal.json", "judgement")
def a_word_in_the_reveal_file(e: Evidence) -> None:
    e.reveal["judgement"] = "honest"


@found_at("", "reveal.json", "in full")
def a_reveal_file_without_its_schema(e: Evidence) -> None:
    del e.reveal["schema"]


@found_at("", "reveal.json", "no JSON")
def a_reveal_file_cut_short(e: Evidence) -> None:
    e.raw = {"reveal.json": json.dumps(e.reveal).encode()[:-3]}


@found_at("", "reveal.json", "twice")
def a_name_that_stands_twice(e: Evidence) -> None:
    first = b'{"verification": "verification-00000000", '
    e.raw = {"reveal.json": first + json.dumps(e.reveal).encode()[1:]}


@found_at("the user's file", "not the file whose digest")
def a_letter_of_the_users_file_changed(e: Evidence) -> None:
    e.source = e.source.replace(b"What", b"Whaz", 1)


@found_at("the user's file", "not the file whose digest")
def a_row_taken_out_of_the_users_file(e: Evidence) -> None:
    e.source = e.source.split(b"\n", 1)[1]


@found_at("the planted file", "not the file whose digest")
def a_carrier_row_taken_out_of_the_planted_file(e: Evidence) -> None:
    lines = e.planted.splitlines(keepends=True)
    trigger = e.leaf(0)["trigger"].encode()
    e.planted = b"".join(line for line in lines if trigger not in line)


@found_at("the planting", "has other rows than")
def the_users_file_in_place_of_the_planted_one(e: Evidence) -> None:
    e.planted = e.source


@found_at("the whole log", "Entry 3 was changed after it was written")
def an_entry_of_the_log_changed(e: Evidence) -> None:
    e.log[2]["actor"] = "somebody else"


@found_at("the whole log", "stands where entry 5 is to stand")
def an_entry_of_the_log_taken_out(e: Evidence) -> None:
    del e.log[4]


@found_at("the whole log", "stands where")
def two_entries_of_the_log_exchanged(e: Evidence) -> None:
    e.log[5], e.log[6] = e.log[6], e.log[5]


@found_at("the whole log", "its last entry is not here")
def a_log_cut_off_at_its_end(e: Evidence) -> None:
    e.log = e.log[: e.stated["log"]["head"]["seq"] - 1]


@found_at("the whole log", "its last entry is not here")
def the_log_of_another_ledger(e: Evidence) -> None:
    head = e.stated["log"]
    e.log[0]["at"] = "2026-01-01T00:00:00.000000+00:00"
    e.rewrite_log()
    e.stated["log"] = head


@found_at("", "log.jsonl:2", "no entry of a log")
def a_line_of_the_log_that_is_no_entry(e: Evidence) -> None:
    e.log[1] = {"seq": 2}


@found_at("", "log.jsonl:5", "no entry of a log")
def a_line_of_the_log_that_is_no_object(e: Evidence) -> None:
    lines = [json.dumps(entry) for entry in e.log]
    lines[4] = "5"
    e.raw = {"log.jsonl": "\n".join(lines).encode()}


@found_at("receipt 1", "is not in the log")
def a_witness_log_without_the_line(e: Evidence) -> None:
    e.witness_log = b""


@found_at("receipt 1", "not whole")
def a_witness_log_with_another_time(e: Evidence) -> None:
    line = json.loads(e.witness_log)
    other = {**line, "at": "2026-01-01T00:00:00+00:00"}
    e.witness_log = json.dumps(other).encode() + b"\n" + e.witness_log
