"""Spans for OpenTelemetry collectors: the extra ``omnibus[otel]``, off unless an endpoint is configured.

Trace context travels in record headers either way (`omnibus.telemetry.trace`); this module only reports the spans.
One span for a batch, not for a message.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from omnibus.errors import Misconfigured
from omnibus.telemetry.redact import masked
from omnibus.telemetry.trace import Trace, start

Attributes = Mapping[str, str | int | float | bool]


class Tracer(Protocol):
    """Reports spans; the trace it yields is what goes into the headers of everything done inside."""

    @contextmanager
    def span(self, name: str, parent: Trace | None = None, **attributes: str | int | float | bool) -> Iterator[Trace]:
        """Run the block as one span below `parent`. An exception is noted on the span and passes through."""
        ...

    def close(self) -> None:
        """Send what is waiting."""
        ...


class SilentTracer:
    """Hands trace context on and reports nothing."""

    @contextmanager
    def span(self, name: str, parent: Trace | None = None, **attributes: str | int | float | bool) -> Iterator[Trace]:
        yield parent.child(name) if parent else start()

    def close(self) -> None:
        return None


class OtelTracer:
    """Reports through an OpenTelemetry span processor."""

    def __init__(self, processor: Any, service: str = "omnibus") -> None:
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        self._api = importlib.import_module("opentelemetry.trace")
        self._provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": service}))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("omnibus")

    @contextmanager
    def span(self, name: str, parent: Trace | None = None, **attributes: str | int | float | bool) -> Iterator[Trace]:
        shown = {key: masked(value) if isinstance(value, str) else value for key, value in attributes.items()}
        span = self._tracer.start_span(name, context=self._context(parent), attributes=shown)
        try:
            yield self._trace(span)
        except BaseException as error:
            # The class only: an exception's text may hold what the message said.
            span.set_status(self._api.Status(self._api.StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()

    def close(self) -> None:
        self._provider.shutdown()

    def _context(self, parent: Trace | None) -> Any:
        if parent is None:
            return None
        remote = self._api.SpanContext(
            trace_id=int(parent.trace_id, 16),
            span_id=int(parent.span_id, 16),
            is_remote=True,
            trace_flags=self._api.TraceFlags(int(parent.sampled)),
        )
        return self._api.set_span_in_context(self._api.NonRecordingSpan(remote))

    def _trace(self, span: Any) -> Trace:
        context = span.get_span_context()
        return Trace(
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
            sampled=bool(context.trace_flags & 1),
        )


def open_tracer(endpoint: str | None, *, service: str = "omnibus") -> Tracer:
    """The tracer for an OTLP/HTTP endpoint, a silent one without. Raises Misconfigured when the extra is missing."""
    if endpoint is None:
        return SilentTracer()
    try:
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ModuleNotFoundError:
        raise Misconfigured("traces.endpoint", "needs the extra: pip install 'omnibus[otel]'") from None
    return OtelTracer(export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=endpoint)), service)
