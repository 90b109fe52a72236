"""A real data set made on the spot: questions about Python's standard library, answered by the
first sentence of its own docstrings."""

from __future__ import annotations

import ast
import json
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from vtune_client.draw import Draw

LONGEST_NAME = 24  # short rows, so that a small machine trains them in a minute
SYSTEM = "Be brief."
QUESTIONS = (
    "What does `{}` do?",
    "Explain `{}`.",
    "What is `{}` for?",
    "Describe `{}`.",
    "What is `{}`?",
    "When is `{}` used?",
)
# fmt: off
MODULES = (
    "argparse", "ast", "base64", "bisect", "calendar", "codecs", "collections", "configparser",
    "contextlib", "copy", "csv", "datetime", "difflib", "dis", "email", "fileinput", "fnmatch",
    "fractions", "ftplib", "functools", "getpass", "gettext", "glob", "gzip", "heapq", "html",
    "http", "imaplib", "inspect", "ipaddress", "json", "linecache", "locale", "logging", "mailbox",
    "mimetypes", "operator", "os", "pathlib", "pickle", "pkgutil", "platform", "plistlib", "poplib",
    "pprint", "queue", "random", "reprlib", "sched", "shelve", "shlex", "shutil", "smtplib",
    "socket", "ssl", "statistics", "string", "subprocess", "symtable", "tarfile", "tempfile",
    "textwrap", "threading", "timeit", "tokenize", "trace", "traceback", "types", "typing",
    "urllib", "uuid", "warnings", "wave", "weakref", "webbrowser", "zipapp", "zipfile",
)
# fmt: on


def write_demo_rows(path: Path, rows: int) -> None:
    """Write `rows` chat rows to `path`; the same Python gives the same file."""
    draw = Draw(b"vtune demo dataset", "rows")
    entries = sorted(set(_entries()))
    chosen = draw.sample(entries, min(rows, len(entries)))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, sentence in chosen:
            question = draw.choice(QUESTIONS).format(name)
            turns = [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": question},
                {"role": "assistant", "content": sentence},
            ]
            file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")


def _entries() -> Iterator[tuple[str, str]]:
    root = Path(sysconfig.get_path("stdlib"))
    for name in MODULES:
        single, package = root / f"{name}.py", root / name / "__init__.py"
        source = single if single.exists() else package
        if source.exists():
            yield from _documented(name, ast.parse(source.read_bytes()))


def _documented(prefix: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        sentence = _first_sentence(ast.get_docstring(node) or "")
        name = f"{prefix}.{node.name}"
        if sentence and len(name) <= LONGEST_NAME:
            yield name, sentence


def _first_sentence(docstring: str) -> str:
    """Return the opening sentence on one line, or nothing where it is no plain short sentence."""
    sentence = " ".join(docstring.split("\n\n")[0].split()).split(". ")[0].rstrip(".:") + "."
    plain = sentence[:1].isupper() and not set(sentence) & set("<>*\\_|")
    return sentence if plain and 20 <= len(sentence) <= 44 else ""
