"""Whether the files at hand are those of the statement, and carry what was opened."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from vtune_client.asking import answer_of
from vtune_client.attestation import Predicate, Reveal
from vtune_client.check.findings import Finding, confirmed, left_open, refuted, told
from vtune_client.check.openings import opened_leaves, opened_plan
from vtune_client.dataset import carry, check, completion_of, iter_rows
from vtune_client.errors import InputError
from vtune_client.evidence import similarity
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, draw_plan
from vtune_client.plant import plant
from vtune_client.readings import TEXT
from vtune_client.vault import RootKey

Data = Mapping[str, Any]


def check_file(path: Path, digest: str | None, what: str) -> Iterator[Finding]:
    """Compare a file with the digest that was committed to."""
    if digest is None:
        yield left_open(what, "No digest of it was committed to.")
        return
    yield told(
        what,
        _digest(path) == digest,
        f"It has the digest that was committed to, {digest[:16]}...",
        "It is not the file whose digest was committed to.",
    )


def check_planting(
    stated: Predicate, reveal: Reveal, source: Path | None, planted: Path | None
) -> Iterator[Finding]:
    """Plant the user's file anew where all is opened; else look for what is opened in both."""
    what = "the planting"
    document = stated.commitment
    leaves, rows = opened_leaves(stated, reveal)
    if rows is None or source is None or _digest(source) != document["source_sha256"]:
        yield left_open(
            what, "It takes the user's file (`--file`) and the leaf of the withheld rows."
        )
        return
    plan = replace(
        opened_plan(stated, leaves),
        held_out=tuple(rows["held_out"]),
        join=rows["join"],
    )
    if len(leaves) == document["backdoors"] and document["planted_sha256"]:
        yield _planted_again(plan, source, document["planted_sha256"])
    elif planted is not None:
        yield _found_in(plan, source, planted)
    else:
        yield left_open(what, "Not every backdoor is opened: it takes the planted file, too.")
    if len(leaves) == document["backdoors"] and reveal.root_key:
        yield _drawn_again(plan, source, RootKey(bytes.fromhex(reveal.root_key)))


def check_row_texts(stated: Predicate, reveal: Reveal, source: Path) -> Iterator[Finding]:
    """Compare the lengths of the rows asked about, and what was answered, with the user's file."""
    leaf = reveal.leaves.get(str(len(stated.leaves) - 1))
    rows = stated.verdict["rows"]
    if leaf is None or not rows:
        return
    lines = {line for line, _ in leaf["asked"]}
    texts = {row.line: completion_of(row) for row in iter_rows(source) if row.line in lines}
    wrong = 0
    for number, ((line, _), (_, score, length)) in enumerate(
        zip(leaf["asked"], rows["scores"], strict=True)
    ):
        text = texts[line]
        same = len(text) == length
        if rows["kind"] == TEXT:
            answer = answer_of(reveal.items[f"row {number}"].value)
            same = same and similarity(answer.text, text) == score
        wrong += not same
    yield told(
        "the texts of the rows",
        not wrong,
        f"The {len(texts)} rows asked about stand in the user's file as the scores say.",
        f"{wrong} of the rows asked about do not fit the user's file.",
    )


def _planted_again(plan: Plan, source: Path, digest: str) -> Finding:
    with tempfile.TemporaryDirectory() as folder:
        again = plant(source, plan, Path(folder) / "planted.jsonl")
    return told(
        "the planting",
        again.sha256 == digest,
        "The user's file, planted anew with what is opened, gives the planted file, byte for byte.",
        "The user's file, planted anew with what is opened, gives another file than was uploaded.",
    )


def _found_in(plan: Plan, source: Path, planted: Path) -> Finding:
    """Compare both files row by row: closed backdoors alone may make rows differ."""
    what, carriers, wrong, closed = "the planting", plan.carriers, 0, 0
    sent = (row for row in iter_rows(source) if row.line not in plan.held_out)
    for row, there in zip_longest(sent, iter_rows(planted)):
        if row is None or there is None:
            return refuted(what, "The planted file has other rows than the user's file says.")
        if backdoor := carriers.get(row.line):
            wrong += there.raw != carry(row, backdoor.trigger, backdoor.signature, plan.join)
        else:
            closed += there.raw != row.raw
    hidden = plan.spec.carriers - len(carriers)
    return told(
        what,
        not wrong and closed <= hidden,
        f"All {len(carriers)} carrier rows that are opened stand in the planted file, and of the "
        f"others no more than {hidden} differ from the user's.",
        f"{wrong} carrier rows that are opened are not those of the planted file, or more of the "
        "others differ than closed backdoors make.",
    )


def _drawn_again(plan: Plan, source: Path, key: RootKey) -> Finding:
    what = "the words"
    phrases = BuiltinSource()
    if plan.phrases != phrases.name:
        return left_open(what, f"They come from {plan.phrases!r}, which is not at hand.")
    try:
        again = draw_plan(plan.id, check(source), plan.spec, key, phrases)
    except InputError as error:
        return left_open(what, f"They cannot be drawn anew: {error.message}")
    pairs = zip(plan.backdoors, again.backdoors, strict=True)
    if all((a.trigger, a.frame, a.words) == (b.trigger, b.frame, b.words) for a, b in pairs):
        return confirmed(what, "Every trigger and signature is what the root key draws.")
    return refuted(what, "The root key draws other triggers or signatures.")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Name the file.") from None
