"""One way in: a service is opened once, before anything listens, and closed as the server stops."""

import socket

import pytest

from app.factory import open_app
from app.server import run_beside
from attribution.maintenance import FolderInUse, folder_lock
from attribution.opening.load import Vision
from tests.support.clients import get


def lock_is_free(settings):
    try:
        with folder_lock(settings.data, "a test"):
            return True
    except FolderInUse:
        return False


def test_the_folder_is_held_from_the_opening_until_the_server_has_stopped(settings, encoder):
    with socket.socket() as listener, open_app(settings, Vision(encoder, None)) as app:
        listener.bind(("127.0.0.1", 0))
        assert not lock_is_free(settings)
        with run_beside(app, settings, listener, log_level="warning"):
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            assert get(f"{address}/livez").status_code == 200
            assert not lock_is_free(settings)
        assert lock_is_free(settings)


def test_what_is_never_served_is_closed_too(settings, encoder):
    with open_app(settings, Vision(encoder, None)):
        assert not lock_is_free(settings)
    assert lock_is_free(settings)


def test_a_refusal_comes_out_as_it_is(settings, encoder):
    refused = pytest.raises(FolderInUse, match="a test")
    with folder_lock(settings.data, "a test"), refused, open_app(settings, Vision(encoder, None)):
        pytest.fail("it was opened")
