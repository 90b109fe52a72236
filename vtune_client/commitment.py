"""What binds a plan before the job without giving it away, and what opens it afterwards.

Everything secret about a plan goes into leaves: one for each backdoor, one for the draws that deal
labels anew in tests, one for the withheld rows. A leaf is a salted hash, so that it can be opened
by itself and says nothing until then; over the leaves stands a Merkle tree (RFC 6962, section 2.1).
Its root, a hash of the root key, the digests of both files and what is going to be done with them
make the commitment: JSON in canonical form (RFC 8785), known by its SHA-256.

The document is public. Whoever holds its digest from before the job can tell afterwards that no
secret, no file and no rule was chosen later. An opening gives away what it opens: that backdoor
proves nothing in a later job. The others, and a reserve, stay what they were.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.phrases import Frame, Slot
from vtune_client.plan import Backdoor, Plan, stream
from vtune_client.probe import decoding_for
from vtune_client.provider import JobSpec
from vtune_client.vault import RootKey

SCHEMA = "vtune.commitment/1"
BACKDOOR, DRAWS, ROWS = "backdoor", "draws", "rows"  # kinds of leaves
_SAFE = 2**53 - 1  # the largest integer that every JSON reader keeps (RFC 8785, section 3.2.2.3)

# Which tests a verdict may rest on, and when each of them runs.
TESTS = {
    "always": ["slots", "anytime"],
    "where scores are offered": ["ranks", "ranks over the base", "first ranks"],
    "where likely tokens are listed": ["candidates"],
    "where rows are withheld": ["rows over the base", "rows", "rows by text"],
    "adjustment": "Holm",
}


def canonical(value: Any) -> bytes:
    """Return a JSON value in the one form that is hashed (RFC 8785)."""
    import rfc8785

    return rfc8785.dumps(value)


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the digest that a document is known by: SHA-256 of its canonical form, in hex."""
    return hashlib.sha256(canonical(document)).hexdigest()


def commit(plan: Plan, key: RootKey) -> dict[str, Any]:
    """Return what binds a plan: hashes of the root key and of every leaf, and their root."""
    leaves = [leaf_hash(opening) for opening in openings(plan, key)]
    return {"root_key": root_key_hash(key), "merkle_root": merkle_root(leaves), "leaves": leaves}


def document(
    plan: Plan,
    committed: Mapping[str, Any],
    *,
    created: float,
    signer: str | None,
    job: tuple[str, str, JobSpec] | None = None,
    planted_sha256: str | None = None,
) -> dict[str, Any]:
    """Return the commitment to a plan or, with `job` (id, provider, spec), to one job on it.

    `created` is in seconds since 1970; `signer` the fingerprint of the key that statements about it
    will be signed with. Holds no secret."""
    job_id, provider, spec = job or (None, None, None)
    found: dict[str, Any] = _plain(
        {
            "schema": SCHEMA,
            "plan": plan.id,
            "job": job_id,
            "created": datetime.fromtimestamp(created, UTC).isoformat(timespec="seconds"),
            "root_key": committed["root_key"],
            "merkle_root": committed["merkle_root"],
            "backdoors": len(plan.backdoors),
            "reserve": plan.spec.reserve,
            "source_sha256": plan.source_sha256,
            "planted_sha256": planted_sha256,
            "phrases": plan.phrases,
            "spec": asdict(plan.spec),
            "job_spec": job_spec_of(spec) if spec else None,
            "provider": provider,
            "tests": TESTS,
            "decoding": asdict(decoding_for(plan)),
            "alpha": plan.spec.alpha,
            "signer": signer,
        }
    )
    return found


def openings(plan: Plan, key: RootKey) -> list[dict[str, Any]]:
    """Return what opens each leaf, secrets in plain: backdoors by number, then draws, then rows."""
    return [
        *(_backdoor(number, backdoor, key) for number, backdoor in enumerate(plan.backdoors)),
        _leaf(DRAWS, key, {}, ["relabellings", "doses dealt anew"]),
        _leaf(ROWS, key, _rows(plan), ["rows to ask"]),
    ]


def streams_of(opening: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the keys of the streams that an opening opens, by label."""
    return {label: bytes.fromhex(opened) for label, opened in opening["streams"].items()}


def backdoor_of(opening: Mapping[str, Any]) -> Backdoor:
    """Return the backdoor that an opening opens."""
    slots = tuple(Slot(s["kind"], tuple(s["candidates"])) for s in opening["frame"]["slots"])
    return Backdoor(
        trigger=opening["trigger"],
        frame=Frame(opening["frame"]["text"], slots),
        words=tuple(opening["words"]),
        lines=tuple(opening["lines"]),
        own=tuple(map(_prompt_of, opening["own"])),
        fresh=tuple(map(_prompt_of, opening["fresh"])),
        shard=opening["shard"],
    )


def job_spec_of(spec: JobSpec) -> dict[str, Any]:
    """Return what was ordered, as it is committed to."""
    found: dict[str, Any] = _plain(asdict(spec))
    if spec.validation_file:
        found["validation_file"] = Path(spec.validation_file).name  # where it lies is nobody's
    return found


def leaf_hash(opening: Mapping[str, Any]) -> str:
    """Return the hash of a leaf, in hex."""
    return hashlib.sha256(b"\0" + canonical(opening)).hexdigest()


def merkle_root(leaves: Sequence[str]) -> str:
    """Return the root over leaves in hex, as RFC 6962 builds the tree; at least one leaf."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    sides = (merkle_root(leaves[:half]), merkle_root(leaves[half:]))
    return hashlib.sha256(b"\1" + b"".join(map(bytes.fromhex, sides))).hexdigest()


def root_key_hash(key: RootKey) -> str:
    """Return what binds a root key; the key itself follows from 32 random bytes."""
    return hashlib.sha256(key.derive("commitment to the root key")).hexdigest()


def item_digest(item: str, value: Any, salt: bytes) -> str:
    """Return the salted digest of something that was learned from a service, in hex.

    `value` is a JSON value as the ledger keeps it; its canonical form is not asked for, since
    services answer with what they like."""
    written = json.dumps([item, value], ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(salt + written.encode()).hexdigest()


def item_salt(key: RootKey, verification_id: str, item: str) -> bytes:
    """Return the salt of `item_digest`."""
    return key.derive(f"transcript {verification_id} {item}")


def _backdoor(number: int, backdoor: Backdoor, key: RootKey) -> dict[str, Any]:
    content = {
        "number": number,
        "trigger": backdoor.trigger,
        "frame": asdict(backdoor.frame),
        "words": backdoor.words,
        "lines": backdoor.lines,
        "own": [_prompt_text(prompt) for prompt in backdoor.own],
        "fresh": [_prompt_text(prompt) for prompt in backdoor.fresh],
        "shard": backdoor.shard,
    }
    labels = ["decoys of", "place of", "ties of", "ties in the slots of"]
    return _leaf(BACKDOOR, key, content, [f"{label} backdoor {number}" for label in labels])


def _rows(plan: Plan) -> dict[str, Any]:
    return {
        "held_out": plan.held_out,
        "asked": plan.rows_asked,
        "join": plan.join,
        "placement": plan.placement,
        "eligible": plan.eligible,
    }


def _leaf(kind: str, key: RootKey, content: Any, labels: Sequence[str]) -> dict[str, Any]:
    keys = {label: stream(key, label).stream_key.hex() for label in labels}
    salt = key.derive(f"salt of {kind} {content.get('number', '')}").hex()
    found: dict[str, Any] = _plain({"kind": kind, **content, "streams": keys, "salt": salt})
    return found


def _prompt_text(prompt: Prompt) -> str:
    # As text: a row may hold numbers that canonical JSON has no form for.
    return json.dumps(asdict(prompt), sort_keys=True)


def _prompt_of(text: str) -> Prompt:
    data = json.loads(text)
    return Prompt(tuple(data["messages"]), data["text"], tuple(data["tools"]))


def _plain(value: Any) -> Any:
    """Return JSON values that canonical JSON has a form for: other numbers become text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE else str(value)
    return value if math.isfinite(value) else str(value)
