"""OpenTelemetry spans of requests; imported only where the setting asks for them (extra `otel`).

Where spans go, and how many, the standard `OTEL_*` variables say. A span has the method, the
route's template, the status and the request id; nothing of any image, and no name of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import Scope

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, use_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ImportError(
        "ATTRIBUTION_TRACING needs OpenTelemetry: pip install 'attribution[otel]'"
    ) from error


class RequestTracer:
    """Makes a span for each request, joined to the caller's trace (W3C traceparent)."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({SERVICE_NAME: "attribution"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("attribution")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[RequestSpan]:
        """The span of one request, current within the block."""
        headers = Headers(scope=scope)
        carrier = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        span = self._tracer.start_span(
            scope["method"], context=self._propagator.extract(carrier), kind=SpanKind.SERVER
        )
        with use_span(span, end_on_exit=True):
            yield RequestSpan(span, scope)

    def close(self) -> None:
        """Send what waits, then stop."""
        self._provider.shutdown()


class RequestSpan:
    """The span of one request."""

    def __init__(self, span: Span, scope: Scope) -> None:
        self._span, self._scope = span, scope

    def end(self, *, name: str, route: str, status: int) -> None:
        """Say what the request was and what became of it."""
        self._span.update_name(name)
        self._span.set_attribute("http.request.method", self._scope["method"])
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        request_id = self._scope.get("state", {}).get("request_id", "")
        self._span.set_attribute("attribution.request_id", request_id)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
