"""`attribution serve` as a process: it finds what others add, and Ctrl-C is a clean end."""

import re
import signal
import time

import httpx
import pytest

from app.cli import browser
from attribution import Gallery
from attribution.folder_lock import folder_lock, listening_on
from tests.support.pictures import picture, png
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


def test_without_a_screen_no_browser_is_looked_for(monkeypatch, caplog):
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.open", pytest.fail)
    with caplog.at_level("INFO"):
        browser.open_once_ready("http://127.0.0.1:1")
    assert "the page is at http://127.0.0.1:1/" in caplog.text


@pytest.fixture
def service(launch, small_encoder, tmp_path):
    """The process of a service, and its address once it is ready; its browser writes a file."""
    script = tmp_path / "browser.sh"
    part, opened = tmp_path / "part", tmp_path / "opened"
    script.write_text(f'#!/bin/sh\necho "$1" > {part}\nmv {part} {opened}\n')
    script.chmod(0o755)
    process = launch(
        *("serve", "--port", "0", "--data", tmp_path / "data", "--open"),
        ATTRIBUTION_ENCODER=str(small_encoder),
        BROWSER=f"{script} %s",
    )
    try:
        yield process, _ready_address(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_what_ingest_adds_is_found_and_ctrl_c_ends_it(
    service, attribution, pictures, small_encoder, tmp_path
):
    process, address = service
    assert listening_on(tmp_path / "data").url == address
    wait_for((tmp_path / "opened").exists)
    assert (tmp_path / "opened").read_text() == f"{address}/\n"
    done = attribution("ingest", pictures, "--data", tmp_path / "data", "--json")
    assert done.document["added"] == 6

    image = (pictures / "004.jpg").read_bytes()
    response = httpx.post(
        f"{address}/v1/attributions",
        params={"min_generation": done.document["generation"], "top_k": 3},
        files={"file": image},
        timeout=60,
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["index_generation"] >= done.document["generation"]
    assert answer["sources"][0]["uri"].endswith("004.jpg")
    alone = attribution(
        *("query", pictures / "004.jpg", "--data", tmp_path / "data", "--json"),
        *("--encoder", small_encoder),  # named, so the service is not asked
    )
    assert answer["sources"][0]["score"] == pytest.approx(
        alone.document["sources"][0]["score"], abs=1e-4
    )

    with Gallery.open(tmp_path / "data", encoder=str(small_encoder)) as beside:
        added = beside.add(picture(77))
        [ours] = beside.attribute(picture(77))
    assert ours.sources[0].match == "identical"
    theirs = httpx.post(
        f"{address}/v1/attributions",
        params={"min_generation": added.generation},
        files={"file": png(picture(77))},
        timeout=60,
    ).json()
    assert theirs["sources"][0]["source_id"] == ours.sources[0].source.source_id

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in {0, 130}
    assert "Traceback" not in out + err
    assert listening_on(tmp_path / "data") is None
    saved = attribution("index", "--data", tmp_path / "data", "--json")
    assert saved.document["vectors"] == 7
    assert (tmp_path / "data" / "index" / "CURRENT").is_file()


def test_off_loopback_without_keys_it_does_not_start(attribution, tmp_path):
    done = attribution("serve", "--host", "0.0.0.0", "--port", "0", "--data", tmp_path / "data")
    assert done.code == 1
    assert "attribution keys create" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [("SIGNING_KEY", "no-key.pem", "no-key.pem"), ("ENCODER", "no/encoder", "no/encoder")],
)
def test_what_it_cannot_serve_with_is_told_in_one_line(
    attribution, tmp_path, monkeypatch, setting, value, said
):
    monkeypatch.setenv(f"ATTRIBUTION_{setting}", str(tmp_path / value))
    done = attribution("serve", "--port", "0", "--data", tmp_path / "data")
    assert done.code == 1
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_folder_that_is_in_use_is_told_in_one_line(attribution, tmp_path):
    with folder_lock(tmp_path / "data", "a service"):
        done = attribution("serve", "--port", "0", "--data", tmp_path / "data")
    assert done.code == 1
    assert "in use by a service" in done.err
    assert done.err.count("\n") == 1


def test_a_container_makes_its_first_key_and_wants_it(launch, small_encoder, tmp_path):
    key_file = tmp_path / "data" / "admin.key"
    process = launch(
        *("serve", "--host", "0.0.0.0", "--port", "0", "--data", tmp_path / "data"),
        ATTRIBUTION_ENCODER=str(small_encoder),
        ATTRIBUTION_ADMIN_KEY_FILE=str(key_file),
        # What Kubernetes adds beside a service named attribution.
        ATTRIBUTION_PORT="tcp://10.0.0.1:8000",
        ATTRIBUTION_SERVICE_HOST="10.0.0.1",
        ATTRIBUTION_SERVICE_PORT="8000",
    )
    try:
        address = _ready_address(process).replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{address}/v1/index", timeout=60).status_code == 401
        headers = {"Authorization": f"Bearer {key_file.read_text().strip()}"}
        assert httpx.get(f"{address}/v1/index", headers=headers, timeout=60).status_code == 200
    finally:
        process.kill()
        process.communicate()


def _ready_address(process, seconds=120.0):
    read = []
    for line in process.stderr:
        read.append(line)
        if found := re.search(r"running on (http://\S+)", line):
            break
    else:
        pytest.fail("the service ended: " + "".join(read))
    deadline = time.monotonic() + seconds
    while httpx.get(f"{found[1]}/readyz", timeout=30).status_code != 200:
        assert time.monotonic() < deadline, "the service was not ready in time"
        time.sleep(0.1)
    return found[1]
