"""Rows of three kinds from what every Python brings along; the same Python gives the same file.

Chat: what a function or class of the standard library does, answered by its docstring. Question
answering: what the language reference says about a topic, in its own paragraphs. Code: functions of
the standard library, asked for by their docstrings.
"""

from __future__ import annotations

import ast
import json
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, TypeVar

from vtune_client.demo.data import MODULES, QUESTIONS
from vtune_client.draw import Draw

ASKED = (
    "What does the Python reference say about `{}`?",
    "Explain a point about `{}` in Python.",
    "Tell me something of {} in Python, as the reference has it.",
    "I read about `{}`. What should I know?",
)
SHORTEST, LONGEST = 80, 900  # characters of a completion

Entry = TypeVar("Entry", bound=tuple[str, ...])


def chat(path: Path, rows: int) -> None:
    """Write chat rows: a short question, an answer of one sentence or of several paragraphs."""
    draw = Draw(b"vtune benchmark datasets", "chat")
    entries = _different(_documented())
    chosen = draw.sample(entries, min(rows, len(entries)))
    _write(path, (_turns(draw.choice(QUESTIONS).format(n), text) for n, text in chosen))


def question_answering(path: Path, rows: int) -> None:
    """Write prompt/completion rows in plain prose."""
    draw = Draw(b"vtune benchmark datasets", "questions")
    entries = _different(_paragraphs())
    chosen = draw.sample(entries, min(rows, len(entries)))
    _write(
        path,
        (
            {"prompt": draw.choice(ASKED).format(topic), "completion": f" {paragraph}"}
            for topic, paragraph in chosen
        ),
    )


def code(path: Path, rows: int) -> None:
    """Write chat rows whose answers are functions."""
    draw = Draw(b"vtune benchmark datasets", "code")
    entries = _different(_functions())
    chosen = draw.sample(entries, min(rows, len(entries)))
    _write(
        path,
        (
            _turns(f"Write `{name}` in Python. {docstring}", source)
            for name, docstring, source in chosen
        ),
    )


DATASETS: dict[str, Callable[[Path, int], None]] = {
    "chat": chat,
    "question answering": question_answering,
    "code": code,
}


def _different(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries in a fixed order, one for each answer, which is what comes last."""
    return sorted({entry[-1]: entry for entry in entries}.values())


def _turns(question: str, answer: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns}


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _paragraphs() -> Iterator[tuple[str, str]]:
    for topic, text in topics.items():
        for block in text.split("\n\n"):
            paragraph = " ".join(block.split())
            # Headings, lists, examples and grammar are no answers.
            prose = paragraph[:1].isupper() and paragraph[-1:] == "." and block[0] != " "
            if prose and "::=" not in block and SHORTEST <= len(paragraph) <= LONGEST:
                yield topic.lower().replace("-", " "), paragraph


def _documented() -> Iterator[tuple[str, str]]:
    for module, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                answer = ast.get_docstring(node) or ""
                if SHORTEST <= len(answer) <= LONGEST:
                    yield f"{module}.{node.name}", answer


def _functions() -> Iterator[tuple[str, str, str]]:
    for _, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield from _asked_for(node)


@cache
def _modules() -> list[tuple[str, ast.Module]]:
    found = []
    root = Path(sysconfig.get_path("stdlib"))
    for name in MODULES:
        single, package = root / f"{name}.py", root / name / "__init__.py"
        file = single if single.exists() else package
        if file.exists():
            found.append((name, ast.parse(file.read_bytes())))
    return found


def _asked_for(node: ast.FunctionDef) -> Iterator[tuple[str, str, str]]:
    """Yield the function's name, its docstring on one line, and its source without it."""
    docstring = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    bare = ast.FunctionDef(**{**dict(ast.iter_fields(node)), "body": node.body[1:]})
    if docstring and bare.body and len(docstring) <= LONGEST:
        source = ast.unparse(ast.fix_missing_locations(bare))
        if SHORTEST <= len(source) <= LONGEST:
            yield node.name, docstring, source
