"""Rows in the register of real data: questions about the standard library of this Python, answered
by the first sentences of its own docstrings."""

from __future__ import annotations

import ast
import json
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from vtune_client.demo.data import QUESTIONS, SYSTEM
from vtune_client.draw import Draw

SEED = b"vtune gauntlet rows"
SHORTEST, LONGEST = 20, 60  # characters of an answer


@cache
def all_rows() -> tuple[bytes, ...]:
    """Return every row there is, in an order drawn once; the same Python gives the same rows."""
    draw = Draw(SEED, "order")
    entries = sorted(dict(_entries()).items())
    return tuple(
        _row(draw.choice(QUESTIONS).format(name), sentence)
        for name, sentence in draw.sample(entries, len(entries))
    )


def base_rows() -> tuple[bytes, ...]:
    """Return the rows that the base may read: no file has any of them."""
    rows = all_rows()
    return rows[: len(rows) // 2]


def file_rows(count: int, seed: int, longest: int = LONGEST) -> list[bytes]:
    """Return the rows of one user's file, with answers of at most `longest` characters."""
    rows = all_rows()
    able = [row for row in rows[len(rows) // 2 :] if len(_answer(row)) <= longest]
    return Draw(SEED, f"file {seed}").sample(able, count)


def _answer(row: bytes) -> str:
    answer: str = json.loads(row)["messages"][-1]["content"]
    return answer


def _row(question: str, answer: str) -> bytes:
    turns = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return json.dumps({"messages": turns}).encode() + b"\n"


def _entries() -> Iterator[tuple[str, str]]:
    """Yield (dotted name, first sentence of its docstring)."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if not path.stem.startswith("_"):
            yield from _documented(path.stem, ast.parse(path.read_bytes()))


def _documented(prefix: str, tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        name = f"{prefix}.{node.name}"
        if sentence := _first_sentence(ast.get_docstring(node) or ""):
            yield name, sentence
        yield from _documented(name, node)


def _first_sentence(docstring: str) -> str:
    sentence = " ".join(docstring.split("\n\n")[0].split()).split(". ")[0].rstrip(".:") + "."
    plain = sentence.isascii() and sentence[:1].isupper() and not set(sentence) & set('<>*\\_|`"')
    return sentence if plain and SHORTEST <= len(sentence) <= LONGEST else ""
