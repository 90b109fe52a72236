"""A policy from its text, as a file has it: `max_p_value(1e-6) & (min_share(0.8) | no_signs())`.

The text is parsed as a Python expression and never run: calls of the policies by name with plain
values, `&`, `|`, `~` and parentheses are all there is.
"""

from __future__ import annotations

import ast
from difflib import get_close_matches
from typing import Any

from vtune_client.audit.policy import ATOMS, Policy
from vtune_client.errors import InputError

LONGEST = 2000  # characters: deeper expressions than these allow nobody reads


def policy_from(text: str) -> Policy:
    """Return the policy that `text` writes; `InputError` says what in it is none."""
    if len(text) > LONGEST:
        raise _wrong(f"It has {len(text)} characters, and {LONGEST} are the most.")
    try:
        return _policy(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise _wrong(f"It cannot be read at character {error.offset}: {text!r}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise _wrong("It cannot be read.") from None


def _policy(node: ast.expr) -> Policy:
    match node:
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return _policy(left) & _policy(right)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _policy(left) | _policy(right)
        case ast.UnaryOp(op=ast.Invert(), operand=inner):
            return ~_policy(inner)
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]):
            return _atom(name, [_value(each) for each in given])
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            raise _wrong(f"{ast.unparse(node)!r} says and, or, not: write &, | and ~.")
        case ast.Name(id=name) if name in ATOMS:
            raise _wrong(f"{name!r} lacks its parentheses: write {name}(...).")
    raise _wrong(f"{ast.unparse(node)!r} is no policy.")


def _atom(name: str, given: list[Any]) -> Policy:
    if name not in ATOMS:
        close = get_close_matches(name, ATOMS, n=1)
        raise _wrong(
            f"There is no policy {name!r}" + (f"; did you mean {close[0]!r}?" if close else ".")
        )
    try:
        return ATOMS[name](*given)
    except TypeError:
        raise _wrong(f"{name}() takes other values than {given!r}.") from None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
        return node.value
    raise _wrong(f"{ast.unparse(node)!r} is no plain value.")


def _wrong(what: str) -> InputError:
    return InputError(
        f"The policy cannot be used. {what}", f"Policies: {', '.join(f'{n}()' for n in ATOMS)}."
    )
