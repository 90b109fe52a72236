"""Traces and metrics through OpenTelemetry, where the program that runs us has loaded it.

A library speaks to OpenTelemetry's API; the application (here: `vtune`, see `cli.tracing`) sets up
where it goes. We import nothing of it ourselves: where nobody has, every call here does nothing.

Names follow the semantic conventions for generative AI where those have one, the others are
`vtune.*`. They are written out here, since the package of conventions calls its own unsettled.
What is asked and answered, triggers, signatures and keys are no attributes, and errors leave the
name of their class alone: their words may quote a service.

A service is never told of a trace. A `traceparent` header would let it tell our questions from its
users', so instrumentation of HTTP that the application may have is told to leave our calls alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import urlsplit

from vtune_client.redaction import redact
from vtune_client.version import __version__

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context

SCOPE = "vtune_client"
LONGEST = 200  # characters of an attribute

_NAMES = {
    "provider": "gen_ai.provider.name",
    "operation": "gen_ai.operation.name",
    "model": "gen_ai.request.model",
    "max_tokens": "gen_ai.request.max_tokens",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "token_type": "gen_ai.token.type",
    "host": "server.address",
    "port": "server.port",
    "error": "error.type",
    "plan": "vtune.plan.id",
    "job": "vtune.job.id",
    "state": "vtune.job.state",
    "verification": "vtune.verification.id",
    "audit": "vtune.audit.id",
}
_HANDED_DOWN = ("provider", "model", "host", "port", "plan", "job", "verification", "audit")
_UNITS = {
    "vtune.jobs": "{job}",
    "vtune.questions": "{question}",
    "vtune.retries": "{retry}",
    "vtune.verdicts": "{verdict}",
}


class Attributes(TypedDict, total=False):
    """What may be said of a step. None of it is secret; counts are of what the step is about."""

    provider: str | None
    model: str | None
    host: str | None
    port: int | None
    operation: str  # of the conventions: "chat", "text_completion"
    max_tokens: int
    plan: str
    job: str | None
    verification: str
    audit: str
    check: str  # of an audit
    state: str | None
    kind: str
    outcome: str
    error: str
    rows: int
    backdoors: int
    carriers: int
    texts: int  # asked or scored at once


_whom: ContextVar[Mapping[str, Any]] = ContextVar("_whom", default=MappingProxyType({}))


class Span:
    """What a step may say of itself while it goes on."""

    def __init__(self, traced: trace.Span | None = None) -> None:
        self._traced = traced

    def set(self, **attributes: Unpack[Attributes]) -> None:
        if self._traced:
            self._traced.set_attributes(_named(attributes))


@contextmanager
def span(name: str, **attributes: Unpack[Attributes]) -> Iterator[Span]:
    """Trace a step and measure how long it takes.

    Whom it is about (provider, model, plan, job, ...) is handed down to the steps inside it."""
    about = {**_whom.get(), **attributes}
    outer = _whom.set({key: about[key] for key in _HANDED_DOWN if key in about})
    started, error = time.monotonic(), {}
    try:
        with _traced(name, about) as found:
            yield found
    except BaseException as raised:
        error["error"] = type(raised).__name__
        raise
    finally:
        seconds = time.monotonic() - started
        _measure("vtune.step.duration", seconds, "s", {"step": name, **error})
        if operation := attributes.get("operation"):
            how = {"operation": operation, **error}
            _measure("gen_ai.client.operation.duration", seconds, "s", how)
        _whom.reset(outer)


def count(name: str, value: int = 1, **attributes: Unpack[Attributes]) -> None:
    """Add to a counter. `attributes` take few values each; the provider is one of them anyway."""
    if counter := _instrument("counter", name, _UNITS[name]):
        counter.add(value, _named({**_provider(), **attributes}))


def usage(payload: Any) -> None:
    """Keep how many tokens an answer took, where the service says so in OpenAI's shape."""
    told = payload.get("usage") if isinstance(payload, Mapping) else None
    api = sys.modules.get("opentelemetry.trace")
    for kind, key in (("input", "prompt_tokens"), ("output", "completion_tokens")):
        tokens = told.get(key) if isinstance(told, Mapping) else None
        if type(tokens) is int and 0 <= tokens < 2**31:
            _measure("gen_ai.client.token.usage", tokens, "{token}", {"token_type": kind})
            if api:
                api.get_current_span().set_attribute(_NAMES[f"{kind}_tokens"], tokens)


def server_of(url: str | None) -> Attributes:
    """Return host and port of an address, for a span; nothing for what is none."""
    try:
        parts = urlsplit(url or "")
        return {"host": parts.hostname, "port": parts.port}
    except ValueError:
        return {}


def trace_ids() -> tuple[str, str] | None:
    """Return the ids of the current trace and span in hex, None where there is no trace."""
    api = sys.modules.get("opentelemetry.trace")
    context = api.get_current_span().get_span_context() if api else None
    if context is None or not context.is_valid:
        return None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


@contextmanager
def _traced(name: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        yield Span()
        return
    from opentelemetry import context

    tracer = api.get_tracer(SCOPE, __version__)
    token = context.attach(_unseen_by_services())
    try:
        with tracer.start_as_current_span(
            name,
            kind=api.SpanKind.CLIENT if "operation" in attributes else api.SpanKind.INTERNAL,
            attributes=_named(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as traced:
            try:
                yield Span(traced)
            except BaseException as error:
                traced.set_status(api.StatusCode.ERROR)
                traced.set_attribute("error.type", type(error).__name__)
                raise
    finally:
        context.detach(token)


def _unseen_by_services() -> Context:
    """Return the current context, changed so that clients of HTTP send no `traceparent`."""
    from opentelemetry import context

    key = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")
    return context.set_value(key, True)


def _measure(name: str, value: float, unit: str, attributes: Mapping[str, Any]) -> None:
    if histogram := _instrument("histogram", name, unit):
        histogram.record(value, _named({**_provider(), **attributes}))


def _instrument(kind: str, name: str, unit: str) -> Any:
    return _made(kind, name, unit) if "opentelemetry.metrics" in sys.modules else None


@cache
def _made(kind: str, name: str, unit: str) -> Any:
    from opentelemetry import metrics

    meter = metrics.get_meter(SCOPE, __version__)
    make = meter.create_counter if kind == "counter" else meter.create_histogram
    return make(name, unit=unit)


def _provider() -> dict[str, Any]:
    whom = _whom.get()
    return {"provider": whom["provider"]} if "provider" in whom else {}


def _named(attributes: Mapping[str, Any]) -> dict[str, str | int]:
    """Return the attributes by their names on the wire, those without a value left out."""
    named: dict[str, str | int] = {}
    for name, value in attributes.items():
        if isinstance(value, str):
            value = redact(value)[:LONGEST]
        if isinstance(value, str | int):
            named[_NAMES.get(name, f"vtune.{name}")] = value
    return named
