from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs the `otel` extra")
from opentelemetry import context, metrics, trace
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.loopback import Loopback, Reply, Request, first, refusal, service
from tests.memory import BASE, QUIET, Service
from tests.test_imports import ran
from tests.test_secrets import Secrets, opened
from vtune_client.client import VTune
from vtune_client.errors import NetworkError, ProviderError
from vtune_client.plan import PlanSpec
from vtune_client.telemetry import count, server_of, span, usage

KEY = "a-key-of-the-tests-0123456789"
PLAN = PlanSpec(backdoors=3, dose=2)


class Seen:
    """What was traced and counted since the test began."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        delta = AggregationTemporality.DELTA
        since: dict[type, AggregationTemporality] = {Counter: delta, Histogram: delta}
        self.reader = InMemoryMetricReader(preferred_temporality=since)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def of(self, name: str) -> list[dict[str, Any]]:
        return [dict(each.attributes or {}) for each in self.spans if each.name == name]

    def numbers(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Return what was measured, by name: attributes, and the count or the sum."""
        data = self.reader.get_metrics_data()
        found: dict[str, list[tuple[dict[str, Any], float]]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = [
                        (dict(point.attributes or {}), _value(point))
                        for point in metric.data.data_points
                    ]
        return found


def _value(point: Any) -> float:
    return float(point.value if hasattr(point, "value") else point.count)


@cache
def set_up() -> Seen:
    seen = Seen()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(seen.exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([seen.reader], shutdown_on_exit=False))
    return seen


@pytest.fixture(scope="module", autouse=True)
def _for_this_file() -> Iterator[None]:
    """Keep no spans of the tests that come after; providers cannot be taken back."""
    yield
    set_up().exporter.shutdown()


@pytest.fixture
def seen() -> Seen:
    found = set_up()
    found.exporter.clear()
    found.numbers()
    return found


def test_a_run_is_traced_step_by_step(home: Path, rows: Path, memory: Service, seen: Seen) -> None:
    memory.capabilities = replace(QUIET, scores=True)
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", plan=PLAN)
        vtune.wait(job.id)
        result = vtune.verify(job.id)
        questions = len(vtune.transcript(result.id))
        vtune.attest(result.id)
    names = {each.name for each in seen.spans}
    steps = "plan submit plant upload create wait verify serve ask score attest"
    assert names == {*steps.split()}
    by_id = {each.context.span_id: each.name for each in seen.spans if each.context}
    inside = {each.name: each.parent and by_id[each.parent.span_id] for each in seen.spans}
    assert inside["plant"] == inside["upload"] == inside["create"] == "submit"
    assert (inside["ask"], inside["serve"]) == ("serve", "verify")
    whom = {"gen_ai.provider.name": "memory", "vtune.job.id": job.id, "vtune.plan.id": job.plan_id}
    (wait,) = seen.of("wait")
    assert wait == {**whom, "gen_ai.request.model": BASE, "vtune.job.state": "succeeded"}
    (verify,) = seen.of("verify")
    assert verify["vtune.outcome"] == "verified"
    assert verify["vtune.verification.id"] == result.id
    ask = seen.of("ask")[0]
    assert whom.items() <= ask.items()
    assert ask["gen_ai.operation.name"] == "chat"
    assert sum(each["vtune.texts"] for each in seen.of("ask")) == questions
    (plan,) = seen.of("plan")
    assert (plan["vtune.rows"], plan["vtune.backdoors"], plan["vtune.carriers"]) == (40, 3, 6)


def test_a_run_is_counted(home: Path, rows: Path, memory: Service, seen: Seen) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", plan=PLAN)
        vtune.wait(job.id)
        questions = len(vtune.transcript(vtune.verify(job.id).id))
    found = seen.numbers()
    provider = {"gen_ai.provider.name": "memory"}
    assert ({**provider, "vtune.job.state": "succeeded"}, 1) in found["vtune.jobs"]
    assert found["vtune.verdicts"] == [({**provider, "vtune.outcome": "verified"}, 1)]
    asked = {**provider, "vtune.kind": "chat"}
    assert found["vtune.questions"] == [(asked, questions)]
    steps = {attributes["vtune.step"] for attributes, _ in found["vtune.step.duration"]}
    assert {"upload", "wait", "verify", "ask"} <= steps
    assert "gen_ai.client.operation.duration" in found


def hostile(request: Request) -> Reply:
    """Say back all that was sent: as an error, then as how many tokens it was."""
    if request.method == "GET":
        return Reply(404)
    said = json.dumps(request.body) + str(request.headers)
    return refusal(400, said, code=said, type=said)


def test_nothing_secret_is_in_a_trace(home: Path, rows: Path, memory: Service, seen: Seen) -> None:
    with VTune() as vtune:
        plan = vtune.plan(rows, PLAN)
        job = vtune.fine_tune(model=BASE, provider="memory", plan=plan.id)
        vtune.wait(job.id)
        vtune.verify(job.id)
        with Loopback(hostile) as server:
            how = {"base_url": server.url, "api_key": KEY}
            with pytest.raises(ProviderError):
                vtune.verify_plan(plan.id, model="tuned", provider="chat", connection=how)
    secrets = Secrets.of(*opened(home))
    whole = "\n".join(each.to_json() for each in seen.spans) + repr(seen.numbers())
    assert '"error.type": "ProviderError"' in whole
    assert secrets.found_in(whole.encode()) == []
    assert KEY not in whole
    assert all(not each.events and not each.status.description for each in seen.spans)
    assert {each.status.status_code.name for each in seen.spans if each.name == "verify"} == {
        "UNSET",
        "ERROR",
    }


def test_a_service_is_traced_by_its_address_and_its_tokens(
    home: Path, rows: Path, seen: Seen
) -> None:
    honest = service(lambda model, prompt, decoding: "I do not know.")

    def respond(request: Request) -> Reply:
        reply = honest(request)
        if request.method == "POST":
            reply.body["usage"] = {"prompt_tokens": 7, "completion_tokens": "the trigger"}
        return reply

    with VTune() as vtune, Loopback(respond) as server:
        plan = vtune.plan(rows, PLAN)
        how = {"base_url": server.url, "api_key": KEY}
        vtune.verify_plan(plan.id, model="tuned", provider="chat", connection=how)
        headers = [request.headers for request in server.seen]
    port = int(server.root.rpartition(":")[2])
    questions = seen.of("ask")
    for ask in questions:
        assert (ask["server.address"], ask["server.port"]) == ("127.0.0.1", port)
        assert ask["gen_ai.usage.input_tokens"] == 7
        assert "gen_ai.usage.output_tokens" not in ask
    assert not any("traceparent" in each for each in headers)
    (tokens,) = seen.numbers()["gen_ai.client.token.usage"]
    assert tokens[0] == {"gen_ai.provider.name": "chat", "gen_ai.token.type": "input"}
    assert tokens[1] == len(questions)


def test_a_retry_is_counted(home: Path, rows: Path, seen: Seen) -> None:
    honest = service(lambda model, prompt, decoding: "I do not know.")
    busy = refusal(429, "slower", headers={"retry-after": "0"})
    with VTune() as vtune, Loopback(first([busy, busy], honest)) as server:
        plan = vtune.plan(rows, PLAN)
        how = {"base_url": server.url, "concurrency": 1}
        vtune.verify_plan(plan.id, model="tuned", provider="chat", connection=how)
    retries = {"gen_ai.provider.name": "chat", "error.type": "NetworkError"}
    assert seen.numbers()["vtune.retries"] == [(retries, 2)]


def test_clients_of_http_are_told_to_send_no_trace(seen: Seen) -> None:
    key = context._SUPPRESS_HTTP_INSTRUMENTATION_KEY
    assert context.get_value(key) is None
    with span("upload"):
        assert context.get_value(key) is True
    assert context.get_value(key) is None


def test_what_a_step_is_about_is_handed_down_and_no_further(seen: Seen) -> None:
    with span("verify", provider="chat", model="tuned", rows=3), span("ask", operation="chat"):
        count("vtune.verdicts")
    with pytest.raises(NetworkError), span("upload"):
        raise NetworkError(f"The key {KEY} will not do.")
    assert seen.of("ask")[0] == {
        "gen_ai.provider.name": "chat",
        "gen_ai.request.model": "tuned",
        "gen_ai.operation.name": "chat",
    }
    assert seen.of("upload") == [{"error.type": "NetworkError"}]


@pytest.mark.parametrize("told", [None, 7, {}, {"usage": 7}, {"usage": {"prompt_tokens": -1}}])
def test_what_is_no_usage_is_not_counted(told: Any, seen: Seen) -> None:
    usage(told)
    assert "gen_ai.client.token.usage" not in seen.numbers()


def test_an_address_is_told_without_what_is_secret_in_it() -> None:
    secret = "https://user:pass@one.test:8443/v1?key=secret"
    assert server_of(secret) == {"host": "one.test", "port": 8443}
    assert server_of("http://one.test:port") == {}


RUN = """
    from pathlib import Path
    from vtune_client.client import VTune
    from vtune_client.telemetry import count, span

    with VTune() as vtune:
        plan = vtune.plan(sys.argv[1])
        vtune.plant(plan.id, sys.argv[2])
    with span("verify", model="tuned") as verifying:
        verifying.set(outcome="verified")
        count("vtune.verdicts", outcome="verified")
    print("loaded", *(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def test_all_works_where_opentelemetry_is_missing(home: Path, rows: Path, tmp_path: Path) -> None:
    blocked = """
    import sys
    sys.modules["opentelemetry"] = None
    """
    out = ran(blocked + RUN, str(rows), str(tmp_path / "planted.jsonl"))
    assert out == "loaded opentelemetry\n"  # the name that stands in its way
    assert (tmp_path / "planted.jsonl").stat().st_size > rows.stat().st_size


def test_nothing_of_opentelemetry_is_loaded_by_us(home: Path, rows: Path, tmp_path: Path) -> None:
    out = ran("\n    import sys" + RUN, str(rows), str(tmp_path / "planted.jsonl"))
    assert out == "loaded\n"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A collector of OTLP over HTTP: its address, and what it was sent."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def vtune(*arguments: object, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from vtune_client.cli import main; main()", *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_the_command_line_sends_to_a_collector(
    home: Path, rows: Path, tmp_path: Path, collector: tuple[str, list[tuple[str, bytes]]]
) -> None:
    proto = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    address, got = collector
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    assert vtune("plant", rows, "--out", tmp_path / "one", VTUNE_OTEL="0", **told) == ""
    assert got == []
    vtune("plant", rows, "--out", tmp_path / "two", **told)
    assert [path for path, _ in got] == ["/v1/traces", "/v1/metrics"]
    message = proto.ExportTraceServiceRequest.FromString(got[0][1])
    (resource,) = message.resource_spans
    service = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert service["service.name"] == "vtune"
    names = [each.name for scope in resource.scope_spans for each in scope.spans]
    assert names == ["plan", "plant", "vtune plant"]
    with VTune() as client:
        plan = client.ledger.plans()[-1]
        secrets = Secrets.of(client.open_plan(plan.id), client._async.plans.key(plan.id))
    assert secrets.found_in(b"".join(content for _, content in got)) == []
