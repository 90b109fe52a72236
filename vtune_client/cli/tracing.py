"""Traces and metrics of `vtune` to a collector, over OTLP and HTTP.

Asked for by VTUNE_OTEL=1, or by naming the collector as all programs do (OTEL_EXPORTER_OTLP_*);
VTUNE_OTEL=0 keeps `vtune` quiet where others speak. OpenTelemetry's own variables do the rest.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from vtune_client.version import __version__

log = logging.getLogger(__name__)
VARIABLE = "VTUNE_OTEL"
COLLECTORS = ("", "TRACES_", "METRICS_")
LAST_WORDS_S = 3.0  # for what is left to send when a command ends


def wanted() -> bool:
    """Return whether the environment asks for traces."""
    chosen = os.environ.get(VARIABLE, "").lower()
    named = any(os.environ.get(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT") for kind in COLLECTORS)
    return chosen not in ("0", "false", "no") and (named or bool(chosen))


def set_up() -> Callable[[], None]:
    """Send to the collector from here on; return what sends the rest and stops."""
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("No traces: OpenTelemetry is missing. Run: pip install 'vtune-client[otel]'.")
        return lambda: None
    name = os.environ.get("OTEL_SERVICE_NAME") or "vtune"
    resource = Resource.create({"service.name": name, "service.version": __version__})
    timeout = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else LAST_WORDS_S
    spans = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout)))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=timeout))
    numbers = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    trace.set_tracer_provider(spans)
    metrics.set_meter_provider(numbers)

    def stop() -> None:
        spans.shutdown()
        numbers.shutdown(timeout_millis=LAST_WORDS_S * 1000)

    return stop
