from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests import tiny
from vtune_client.commitment import (
    SCHEMA,
    backdoor_of,
    canonical,
    commit,
    digest_of,
    document,
    item_digest,
    item_salt,
    leaf_hash,
    merkle_root,
    openings,
    root_key_hash,
    streams_of,
)
from vtune_client.dataset import check
from vtune_client.draw import Streams
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan, lineup, stream, tie_break
from vtune_client.provider import JobSpec
from vtune_client.vault import RootKey

KEY = RootKey(bytes(range(32)))
SPEC = PlanSpec(backdoors=3, dose=2, decoys=5, reserve=1)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    source = tiny.write_rows(tmp_path / "rows.jsonl")
    return draw_plan("plan-0", check(source), SPEC, KEY, BuiltinSource())


def h(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_the_tree_is_that_of_rfc_6962() -> None:
    leaves = [h(bytes([number])) for number in range(5)]
    left = h(b"\1" + h(b"\1" + leaves[0] + leaves[1]) + h(b"\1" + leaves[2] + leaves[3]))
    assert merkle_root([leaf.hex() for leaf in leaves]) == h(b"\1" + left + leaves[4]).hex()
    assert merkle_root([leaves[0].hex()]) == leaves[0].hex()


def test_canonical_json_is_that_of_rfc_8785() -> None:
    """The example of section 3.2.4, as far as it concerns what we write."""
    assert canonical({"b": 1.0, "a": [1e-6, "\u20ac", None, True]}) == (
        '{"a":[0.000001,"€",null,true],"b":1}'.encode()
    )


def test_a_leaf_opens_to_the_backdoor_it_binds(plan: Plan) -> None:
    opened = openings(plan, KEY)
    assert [leaf["kind"] for leaf in opened] == ["backdoor"] * 4 + ["draws", "rows"]
    for leaf, backdoor in zip(opened, plan.backdoors, strict=False):
        again = json.loads(json.dumps(leaf))
        assert backdoor_of(again) == backdoor
        assert leaf_hash(again) == leaf_hash(leaf)


def test_an_opened_stream_draws_the_same_and_opens_no_other(plan: Plan) -> None:
    leaf = openings(plan, KEY)[2]
    alone = replace(plan, backdoors=plan.backdoors[2:3], first=2)
    streams = Streams(streams_of(leaf))
    assert lineup(alone, 0, streams) == lineup(plan, 2, KEY)
    assert tie_break(alone, 0, streams) == tie_break(plan, 2, KEY)
    with pytest.raises(KeyError):
        lineup(plan, 1, streams)
    assert stream(streams, "place of backdoor 2").stream_key != KEY.derive("plan")


def test_leaves_give_nothing_away_and_change_with_every_secret(plan: Plan) -> None:
    committed = commit(plan, KEY)
    assert len(set(committed["leaves"])) == 6
    assert committed["merkle_root"] == merkle_root(committed["leaves"])
    # The same secrets under another key have other salts, so no leaf can be guessed.
    other = commit(plan, RootKey(bytes(32)))
    assert not set(other["leaves"]) & set(committed["leaves"])
    assert other["root_key"] != committed["root_key"] == root_key_hash(KEY)
    written = json.dumps(committed)
    assert KEY.bytes.hex() not in written
    for backdoor in plan.backdoors:
        assert backdoor.trigger not in written
        changed = replace(backdoor, words=(*backdoor.words[1:], backdoor.words[0]))
        elsewhere = replace(plan, backdoors=(changed, *plan.backdoors[1:]))
        assert commit(elsewhere, KEY)["merkle_root"] != committed["merkle_root"]


def test_the_document_holds_the_rules_and_no_secret(plan: Plan) -> None:
    job = (
        "job-1",
        "openai",
        JobSpec("gpt", epochs=3, seed=2**60, validation_file="/my/own/v.jsonl"),
    )
    made = document(
        plan, commit(plan, KEY), created=0.0, signer="SHA256:ab", job=job, planted_sha256="cd"
    )
    assert made["schema"] == SCHEMA
    assert (made["backdoors"], made["reserve"], made["alpha"]) == (4, 1, 1e-6)
    assert made["created"] == "1970-01-01T00:00:00+00:00"
    assert made["job_spec"]["seed"] == str(2**60)  # more than canonical JSON has a form for
    assert made["job_spec"]["validation_file"] == "v.jsonl"
    written = canonical(made).decode()
    for backdoor in plan.backdoors:
        assert backdoor.trigger not in written
        assert backdoor.signature not in written
    assert digest_of(made) == digest_of(json.loads(written))
    for name in made:
        assert digest_of({**made, name: "another"}) != digest_of(made)


def test_an_answer_is_bound_under_a_salt_of_its_own() -> None:
    salt = item_salt(KEY, "verification-1", "answer 0.0")
    value = {"text": "half a pair: \ud800", "finish": "stop"}
    assert item_digest("answer 0.0", value, salt) == item_digest(
        "answer 0.0", json.loads(json.dumps(value)), salt
    )
    digests = {
        item_digest("answer 0.0", value, salt),
        item_digest("answer 0.1", value, salt),
        item_digest("answer 0.0", {**value, "finish": "length"}, salt),
        item_digest("answer 0.0", value, item_salt(KEY, "verification-2", "answer 0.0")),
    }
    assert len(digests) == 4
