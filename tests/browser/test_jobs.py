"""The view of jobs: a zip or a folder is sent, watched, read and cancelled."""

import io
import json
import zipfile

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.support.encoders import Gate, thumbnail_encoder
from tests.support.pages import blame, drop
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
    with serving(Settings(data=tmp_path, inference_threads=1), encoder, background) as running:
        running.add(1)
        page.goto(f"{running.url}#/jobs")
        gate.passes.clear()
        gate.closes_after = 2
        drop(page, [(f"{number}.jpg", variation(number)) for number in range(6)])
        expect(page.locator(".job h2")).to_have_text("2 of 6 images answered")
        expect(page.locator(".results tbody tr")).to_have_count(2)
        page.get_by_role("button", name="Cancel").click()
        gate.open.set()
        expect(page.locator(".job h2")).to_have_text("Cancelled: 2 images answered")
        expect(page.get_by_role("button", name="Purge")).to_be_visible()
