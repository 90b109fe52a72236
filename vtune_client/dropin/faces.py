"""One flow for a client that blocks and for one that awaits, and methods that look like others."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])


async def settled(value: Any) -> Any:
    """Return what a call gave: of a client that blocks the value itself, else what it awaits."""
    return await value if inspect.isawaitable(value) else value


async def each(items: Any) -> AsyncGenerator[Any, None]:
    """Yield the items of a page and of those after it, whether it is iterated with await or not."""
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a flow to its end that only calls what blocks, and so needs no event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("a flow of a blocking client had to wait")


def like(original: Method) -> Callable[[Callable[..., Any]], Method]:
    """Give a method that takes any keywords the name, signature, types and docs of another."""

    def dressed(method: Callable[..., Any]) -> Method:
        result: Method = functools.wraps(original)(method)  # type: ignore[assignment]
        return result

    return dressed


def with_keywords_of(original: Callable[..., Any]) -> Callable[[Method], Method]:
    """Show the parameters of another function in place of a function's `**given`."""

    def dressed(method: Method) -> Method:
        own = inspect.signature(method)
        theirs = inspect.signature(original).parameters
        more = [
            parameter
            for name, parameter in own.parameters.items()
            if name not in theirs and parameter.kind is parameter.KEYWORD_ONLY
        ]
        shown = own.replace(parameters=[*theirs.values(), *more])
        method.__signature__ = shown  # type: ignore[attr-defined]
        return method

    return dressed


def bound(original: Callable[..., Any], *given: Any, **named: Any) -> dict[str, Any]:
    """Return the arguments of a method call by name, self left out; TypeError as it would raise."""
    arguments = dict(inspect.signature(original).bind(None, *given, **named).arguments)
    arguments.pop("self")
    return arguments
