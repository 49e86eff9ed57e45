"""Spans are reported when an endpoint is configured; context is handed on either way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from omnibus.telemetry import trace
from omnibus.telemetry.redact import remember
from omnibus.telemetry.spans import OtelTracer, SilentTracer, open_tracer
from omnibus.testing.served import served


def test_a_span_continues_the_trace_it_was_given() -> None:
    exporter = InMemorySpanExporter()
    tracer = OtelTracer(SimpleSpanProcessor(exporter))
    parent = trace.start()
    remember("hunter6-invented")
    with tracer.span("route", parent, batch=3, why="hunter6-invented") as inner:
        assert inner.trace_id == parent.trace_id
        assert inner.span_id != parent.span_id
    with tracer.span("alone") as alone:
        pass
    tracer.close()

    first, second = exporter.get_finished_spans()
    assert first.parent is not None
    assert f"{first.parent.span_id:016x}" == parent.span_id
    assert dict(first.attributes or {}) == {"batch": 3, "why": "***"}
    assert second.context is not None
    assert f"{second.context.trace_id:032x}" == alone.trace_id


def test_a_failure_is_noted_by_its_class_only() -> None:
    exporter = InMemorySpanExporter()
    tracer = OtelTracer(SimpleSpanProcessor(exporter))
    with pytest.raises(ValueError, match="Dear Ms Doe"), tracer.span("map"):
        raise ValueError("Dear Ms Doe")
    tracer.close()

    (span,) = exporter.get_finished_spans()
    assert span.status.description == "ValueError"
    assert span.events == ()


def test_without_an_endpoint_context_is_handed_on_and_nothing_reported() -> None:
    tracer = open_tracer(None)
    parent = trace.start()

    assert isinstance(tracer, SilentTracer)
    with tracer.span("route", parent) as inner:
        assert inner == parent.child("route")
    with tracer.span("alone") as alone:
        assert alone.sampled
    tracer.close()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[str, list[str]]]:
    """A collector on this machine that notes the paths it is asked for."""
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        await request.read()
        asked.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", note)
    async with served(app) as url:
        yield f"{url}/v1/traces", asked


async def test_spans_reach_a_collector(collector: tuple[str, list[str]]) -> None:
    endpoint, asked = collector
    tracer = open_tracer(endpoint)
    with tracer.span("route"):
        pass
    await asyncio.to_thread(tracer.close)

    assert asked == ["/v1/traces"]
