"""What a service has worked out is on the disk before it is killed, and clean after a takedown."""

import json

import pytest

from app.service.service import open_service
from attribution.calibration import Calibration
from attribution.opening.load import Vision
from tests.support.service import serving
from tests.support.waiting import wait_for


@pytest.fixture(autouse=True)
def _takes_its_time(monkeypatch):
    """Few sources count as so many that their null is worth keeping, and are looked at often."""
    monkeypatch.setattr("attribution.calibration.calibration._BUILT_SOON", 1)
    monkeypatch.setattr("app.service.snapshots._LOOK_SECONDS", 0.05)


def null_generation(settings):
    for path in settings.snapshots.glob("*/manifest.json"):
        companion = json.loads(path.read_bytes())["companion"]
        return companion and companion["generation"]
    return None


@pytest.fixture
def stopped(settings, encoder, background):
    """A service has run on the folder, with three sources."""
    with serving(settings, encoder, background) as served:
        return [served.add(seed)["source"]["source_id"] for seed in range(3)]


@pytest.mark.usefixtures("stopped")
def test_a_restart_is_ready_at_once_decisions_included(settings, encoder, background, monkeypatch):
    assert null_generation(settings) == 3
    monkeypatch.setattr(Calibration, "build", pytest.fail)
    with open_service(settings, Vision(encoder, background)) as service:
        assert not service.serving.calibrating.is_alive()
        assert service.serving.calibration.current().state.state == "fresh"


@pytest.mark.usefixtures("stopped")
def test_a_null_that_had_to_be_built_is_saved_soon_and_not_only_at_the_stop(
    settings, encoder, background
):
    for path in settings.snapshots.glob("*/beside-*"):
        path.unlink()
    (settings.snapshots / "CURRENT").unlink()
    with open_service(settings, Vision(encoder, background)):
        wait_for((settings.snapshots / "CURRENT").exists)
        assert null_generation(settings) == 3


def test_a_takedown_leaves_a_snapshot_and_a_null_without_it(settings, encoder, background, stopped):
    with serving(settings, encoder, background) as served:
        response = served.client.post(
            "/v1/sources/delete",
            json={"source_ids": stopped[:1], "takedown": True, "reason": "a test"},
        )
        assert response.status_code == 200, response.text
        wait_for(lambda: null_generation(settings) == 4)
