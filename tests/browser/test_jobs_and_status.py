"""The views of jobs and of the service's state: sent, watched, read; and what needs attention."""

import io
import json
import re
import zipfile
from contextlib import ExitStack

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.support.encoders import Gate, thumbnail_encoder
from tests.support.pages import blame, choose, drop
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import Running, serving

pytestmark = pytest.mark.browser


def archive(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return written.getvalue()


def test_a_zip_is_answered_and_read_as_table_csv_and_lines(page: Page, served: Running):
    files = {"found.jpg": variation(7), "not.jpg": jpeg(picture(777_777)), "broken.jpg": b"no"}
    page.goto(f"{served.url}#/jobs")
    page.get_by_label("Zip of a job").set_input_files(
        {"name": "all.zip", "mimeType": "application/zip", "buffer": archive(files)}
    )
    expect(page.locator(".job h2")).to_have_text("Finished: 3 images answered")
    rows = page.locator(".results tbody tr")
    expect(rows.filter(has_text="found.jpg")).to_contain_text("Source found")
    expect(rows.filter(has_text="found.jpg")).to_contain_text("7.jpg")
    expect(rows.filter(has_text="not.jpg")).to_contain_text("No source")
    expect(rows.filter(has_text="broken.jpg")).to_contain_text("Unsupported image")
    blame(page)
    page.get_by_role("radio", name="Problem 1").check()
    expect(rows).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    lines = saved.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("image,decision,p_value,source_id")
    assert any(line.startswith("found.jpg,attributed,") for line in lines)
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON Lines").click()
    told = [json.loads(line) for line in saved.value.path().read_text().splitlines()]
    assert {each["filename"] for each in told} == set(files)
    page.locator(".back").click()
    expect(page.locator(".jobs tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".jobs")).to_be_hidden()
    assert served.client.get("/v1/jobs").json()["items"] == []


def test_a_job_is_watched_and_cancelled(page: Page, tmp_path, background, monkeypatch):
    monkeypatch.setattr("app.jobs.worker._CLAIM", 1)
    gate = Gate()
    encoder = thumbnail_encoder(gate)
    settings = Settings(data=tmp_path, inference_threads=1)
    with serving(settings, encoder, background) as running, ExitStack() as at_the_end:
        at_the_end.callback(gate.open.set)  # or a failure would wait for the images
        at_the_end.callback(setattr, gate, "closes_after", None)
        running.add(1)
        page.goto(f"{running.url}#/jobs")
        gate.passes.clear()
        gate.closes_after = 2
        drop(page, [(f"{number}.jpg", variation(number)) for number in range(6)])
        expect(page.locator(".job h2")).to_have_text("2 of 6 images answered")
        expect(page.locator(".results tbody tr")).to_have_count(2)
        with page.expect_response(lambda found: found.request.method != "GET"):
            page.get_by_role("button", name="Cancel").click()
        gate.closes_after = None
        gate.open.set()
        expect(page.locator(".job h2")).to_have_text("Cancelled: 2 images answered")
        expect(page.get_by_role("button", name="Purge")).to_be_visible()


def test_the_state_is_told_in_figures_and_words(page: Page, served: Running):
    page.goto(served.url)
    choose(page, variation(7))
    page.get_by_role("link", name="Status").click()
    panel = page.locator(".panel")
    expect(panel.filter(has_text="Sources").locator(".figure")).to_have_text("20")
    expect(panel.filter(has_text="Calibration").locator(".figure")).to_have_text("Fresh")
    expect(page.locator(".attention li")).to_have_count(1)
    expect(page.locator(".attention")).to_contain_text("Shares are the encoder's default")
    expect(page.locator(".attention code")).to_have_text("attribution calibrate")
    answered = served.client.get("/v1/index").json()["calibration"]["recent"]["queries"]
    told = page.get_by_role("heading", name=re.compile(f"The last {answered} answer"))
    expect(told).to_be_visible()
    expect(page.locator(".bars span")).to_have_count(10)
    blame(page)


def test_what_needs_attention_comes_first_with_what_to_do(page: Page, served: Running):
    index = served.client.get("/v1/index").json()
    index["calibration"]["state"] = "missing"
    index["calibration"]["recent"] |= {
        "evenness": 1e-5, "sameness": 2e-4, "without_source": 0.7, "likened": 400,
        "unlike_background": 60,
    }  # fmt: skip
    troubles = [{"part": "previews", "detail": "Free some space."}]
    page.route("**/v1/index", lambda route: route.fulfill(json=index))
    page.route(
        "**/readyz",
        lambda route: route.fulfill(json={"status": "degraded", "troubles": troubles}),
    )
    page.goto(f"{served.url}#/status")
    expect(page.locator(".attention li b")).to_have_text(
        [
            "The disk fails for previews.",
            "Nothing is decided.",
            "The background no longer resembles what is asked.",
            "What is asked has changed.",
            "15 % of the last images are unlike the background.",
        ]
    )
    expect(page.locator(".attention li").first).to_contain_text("Free some space.")
    expect(page.locator(".panel").last).to_contain_text(
        "does not resemble what is asked (p = 0.00001)"
    )


def test_a_service_that_is_not_ready_is_told(page: Page, served: Running):
    problem = {"title": "Not ready", "detail": "The encoder fails.", "status": 503}
    asked = []

    def not_ready(route):
        asked.append(route)
        route.fulfill(status=503, json=problem, headers={"Retry-After": "5"})

    page.route("**/readyz", not_ready)
    page.goto(f"{served.url}#/status")
    expect(page.locator(".attention li").first).to_contain_text("Queries are not answered.")
    expect(page.locator(".attention li").first).to_contain_text("The encoder fails.")
    assert len(asked) == 1, "that is the answer, and nothing to wait for"


def test_a_job_is_watched_across_an_interruption_and_its_problems_are_told(page: Page, served):
    sent = served.client.post("/v1/jobs", files={"files": ("a.jpg", variation(7))}).json()
    path = f"**/v1/jobs/{sent['job_id']}"
    page.route(path, lambda route: route.fulfill(status=502, body="<h1>proxy</h1>"), times=1)
    page.goto(f"{served.url}#/jobs/{sent['job_id']}")
    expect(page.locator(".job h2")).to_have_text("Finished: 1 image answered")
    refused = {"title": "Catalog unavailable", "detail": "Later.", "request_id": "req_1"}
    page.route(f"{path}/results", lambda route: route.fulfill(status=503, json=refused))
    page.get_by_role("button", name="JSON Lines").click()
    expect(page.locator("#toast")).to_have_text("Catalog unavailable")
    served.client.delete(f"/v1/jobs/{sent['job_id']}")


def test_the_focus_stays_while_a_job_goes_on(page: Page, served):
    sent = served.client.post("/v1/jobs", files={"files": ("a.jpg", variation(7))}).json()
    looks = []

    def going_on(route):
        looks.append(route)
        route.fulfill(json=sent | {"total": 99, "completed": 0, "failed": len(looks)})

    page.route(f"**/v1/jobs/{sent['job_id']}", going_on)
    page.goto(f"{served.url}#/jobs/{sent['job_id']}")
    cancel = page.locator(".job").get_by_role("button", name="Cancel")
    cancel.focus()
    expect(page.locator(".job dl")).to_contain_text(f"Problems{len(looks) + 1}")
    expect(cancel).to_be_focused()
    served.client.delete(f"/v1/jobs/{sent['job_id']}")


def test_who_gives_no_key_is_not_asked_for_it_again_and_again(page: Page, tmp_path, background):
    settings = Settings(data=tmp_path, inference_threads=1)
    with serving(settings, thumbnail_encoder(), background) as running:
        running.service.catalog.keys.create("page", ["query"])
        page.clock.install()
        page.goto(f"{running.url}#/status")
        page.get_by_role("button", name="Not now").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.clock.fast_forward(60_000)
        page.wait_for_timeout(100)
        expect(page.locator("#access")).to_be_hidden()
