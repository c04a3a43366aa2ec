"""Metrics that Prometheus reads, logs without anything of an image, traces only when asked for."""

import io
import json
import logging
import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from app.middleware.telemetry import route_of
from app.telemetry.logs import JsonFormatter, configure
from app.telemetry.tracing import RequestTracer
from tests.support.forks import Fork
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving
from tests.support.waiting import wait_for

DOCS = Path(__file__).parents[3] / "docs"


def scrape(running):
    response = running.client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(samples, name, **labels):
    return samples.get((name, *sorted(labels.items())), 0)


def test_what_happens_is_counted(running):
    before = scrape(running)
    generation = running.add(1)["generation"]
    running.add(2)
    running.ask(variation(1))
    running.ask(jpeg(picture(77)))
    running.client.get("/v1/sources/src_" + "a" * 20)
    running.client.get("/no/such/path")
    running.client.post("/v1/attributions", files={"file": b"no image"})
    requests = "http_request_duration_seconds_count"

    def answered(samples):  # scrapes are requests too
        counts = ((dict(labels), count) for (name, *labels), count in samples.items()
                  if name == requests)  # fmt: skip
        return sum(count for labels, count in counts if labels["route"] != "/metrics")

    wait_for(lambda: answered(scrape(running)) == answered(before) + 7)  # once they are sent
    after = scrape(running)

    def grown(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown(requests, method="POST", route="/v1/attributions", status="200") == 2
    assert grown(requests, method="POST", route="/v1/attributions", status="415") == 1
    assert grown(requests, method="GET", route="/v1/sources/{source_id}", status="404") == 1
    assert grown(requests, method="GET", route="unmatched", status="404") == 1
    stages = "attribution_stage_duration_seconds_count"
    assert grown(stages, stage="encode") == grown(stages, stage="queue") == 4
    assert grown(stages, stage="decode") == 4
    assert grown(stages, stage="search") == grown(stages, stage="search_queue") == 2
    assert grown("attribution_search_size_sum") == 2
    assert grown("attribution_batch_size_sum") == 4
    decisions = [
        grown("attribution_decisions_total", decision=decision)
        for decision in ("attributed", "no_source_found")
    ]
    assert sum(decisions) == 2
    assert value(after, "attribution_index_vectors") == 2
    assert value(after, "attribution_index_generation") == generation + 1
    assert value(after, "attribution_index_lag") == 0
    assert value(after, "attribution_queue_depth") == 0
    assert value(after, "attribution_catalog_up") == 1
    assert value(after, "attribution_calibration_fresh") == 1
    assert 0 <= value(after, "attribution_calibration_age_seconds") < 60


def test_jobs_are_counted(running):
    running.add(1)
    before = scrape(running)
    files = [("files", ("a.jpg", variation(1))), ("files", ("b.jpg", b"no image"))]
    location = running.client.post("/v1/jobs", files=files).headers["location"]
    wait_for(lambda: running.client.get(location).json()["state"] == "finished")
    name = "attribution_job_images_total"
    counted = [value(before, name, outcome=outcome) + 1 for outcome in ("answered", "failed")]

    def told(samples):
        return [value(samples, name, outcome=outcome) for outcome in ("answered", "failed")]

    wait_for(lambda: told(scrape(running)) == counted)  # right after they are recorded
    after = scrape(running)
    assert told(after) == counted
    assert value(after, "attribution_stage_duration_seconds_count", stage="search") >= 1
    decided = {
        decision: value(after, "attribution_decisions_total", decision=decision)
        for decision in ("attributed", "no_source_found")
    }
    assert sum(decided.values()) == 1
    assert value(after, "attribution_job_retries_total") == 0
    assert value(after, "attribution_job_images_waiting") == 0
    assert value(after, "attribution_jobs", state="running") == 0
    assert value(after, "attribution_job_worker_failing") == 0


def test_jobs_that_wait_are_shown(running):
    jobs = running.service.catalog.jobs
    running.service.worker.close()
    files = [("files", (f"{seed}.jpg", variation(seed))) for seed in range(3)]
    for _ in range(2):
        assert running.client.post("/v1/jobs", files=files).status_code == 202
    shown = scrape(running)
    assert value(shown, "attribution_jobs", state="queued") == 2
    assert value(shown, "attribution_job_images_waiting") == 6
    assert jobs.claim(2) is not None
    shown = scrape(running)
    assert value(shown, "attribution_jobs", state="running") == 1
    assert value(shown, "attribution_jobs", state="queued") == 1


def test_no_label_names_a_source_or_what_a_stranger_asked_for(running):
    source = running.add(1)["source"]
    running.client.get(f"/v1/sources/{source['source_id']}")
    running.client.get("/secret-path?name=secret-name")
    running.client.request("BREW", "/v1/sources")
    exposed = running.client.get("/metrics").text
    for secret in (source["source_id"], source["sha256"], "secret", "BREW", "1.jpg"):
        assert secret not in exposed


def test_openmetrics_where_it_is_asked_for(running):
    response = running.client.get(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert any(family.name == "attribution_decisions" for family in openmetrics(response.text))


def test_every_metric_is_in_the_runbook_and_the_dashboard_asks_for_real_ones(running):
    running.ask(variation(1))
    exposed = running.client.get("/metrics").text
    names = {family.name for family in text_string_to_metric_families(exposed)}
    runbook = (DOCS / "operations.md").read_text(encoding="utf-8")
    dashboard = json.loads((DOCS / "grafana.json").read_text(encoding="utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    sometimes = {"attribution_index_recall_at_10"}  # only where search is not exact
    for name in set(re.findall(r"\b(?:attribution|http|process)_\w+", asked)):
        stem = re.sub(r"_(bucket|sum|count|total)$", "", name)
        assert stem in names | sometimes, f"the dashboard asks for {name}, which is nowhere"
    for name in names:
        if name.startswith("attribution_index_"):
            assert name.removeprefix("attribution_index") in runbook, name
        elif not name.startswith("process_") and not name.endswith("_created"):
            assert name in runbook, f"the runbook says nothing of {name}"


@pytest.fixture
def logged():
    """What the service writes to its log, at the most talkative setting."""
    root = logging.getLogger()
    names = ("app", "attribution", "models", "uvicorn")
    before = root.level, list(root.handlers), [logging.getLogger(name).level for name in names]
    written = io.StringIO()
    configure("json", "debug")
    for handler in root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(written)
    yield written
    root.handlers[:] = before[1]
    root.setLevel(before[0])
    for name, level in zip(names, before[2], strict=True):
        logging.getLogger(name).setLevel(level)


def test_a_line_a_request_as_json_and_nothing_of_any_image(logged, settings, encoder, background):
    image = variation(1)
    with serving(settings, encoder, background) as running:
        running.client.post("/v1/sources", files={"file": ("zanzibar-1.jpg", jpeg(picture(1)))})
        answer = running.client.post(
            "/v1/attributions",
            params={"collection": "default"},
            files={"file": ("zanzibar-2.jpg", image)},
            headers={"X-Request-ID": "mine-1"},
        )
        assert answer.status_code == 200
        running.client.post("/v1/attributions", files={"file": ("zanzibar-3.jpg", image[:99])})
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    [line] = [line for line in lines if line.get("request_id") == "mine-1"]
    assert line["level"] == "info"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/attributions", 200)
    assert line["duration_ms"] > 0
    text = logged.getvalue()
    assert "zanzibar" not in text
    for piece in (image[200:216], jpeg(picture(1))[200:216]):
        assert piece.hex() not in text
        assert repr(piece)[2:-1] not in text


def test_text_and_json_say_the_same(capsys):
    record = logging.LogRecord("app.x", logging.WARNING, "f.py", 1, "%d images", (3,), None)
    document = json.loads(JsonFormatter().format(record))
    assert (document["message"], document["level"], document["logger"]) == (
        "3 images", "warning", "app.x"
    )  # fmt: skip
    error = OSError("no room")
    record.exc_info = (OSError, error, None)
    assert "no room" in json.loads(JsonFormatter().format(record))["exception"]


def test_libraries_do_not_write_debug_lines(logged):
    logging.getLogger("PIL.TiffImagePlugin").debug("tag: Artist (315) - value: %r", b"secret")
    logging.getLogger("app.anything").debug("ours")
    assert "secret" not in logged.getvalue()
    assert "ours" in logged.getvalue()


def test_the_route_of_an_unknown_path_is_no_label():
    assert route_of({"path": "/anything"}) == "unmatched"


def test_a_request_is_a_span_joined_to_the_callers_trace():
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
        InMemorySpanExporter,
    )

    exporter = InMemorySpanExporter()
    tracer = RequestTracer(exporter)
    trace = "0af7651916cd43dd8448eb211c80319c"
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/attributions",
        "headers": [(b"traceparent", f"00-{trace}-b7ad6b7169203331-01".encode())],
        "state": {"request_id": "mine-1"},
    }
    with tracer.request(scope) as span:
        span.end(name="POST /v1/attributions", route="/v1/attributions", status=503)
    tracer.close()
    [sent] = exporter.get_finished_spans()
    assert sent.name == "POST /v1/attributions"
    assert f"{sent.context.trace_id:032x}" == trace
    assert sent.attributes["attribution.request_id"] == "mine-1"
    assert not sent.status.is_ok


def test_opentelemetry_is_imported_only_when_asked_for():
    asks = "import sys, app.factory; print([m for m in sys.modules if 'opentelemetry.sdk' in m])"
    with Fork(exec, asks) as process:
        out, _ = process.communicate()
    assert out.strip() == "[]"
