"""Clients that send their bodies a byte at a time keep nobody from being answered, and are cut off.

Cutting them off takes a time limit of bodies, `ATTRIBUTION_BODY_SILENCE_SECONDS`: without that
setting the second test is skipped.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.settings import Settings
from tests.support.pictures import small_jpeg
from tests.support.waiting import PATIENCE, wait_for

CLIENTS = 60  # fewer than `queue_limit`, which holds a place for each


def drip(port: int, stopped: threading.Event, told: list[bytes]) -> None:
    """Promise a megabyte, send ten bytes a second, keep what the service says."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /v1/attributions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n\xff\xd8\xff"
        )
        connection.settimeout(0.1)
        while not stopped.is_set():
            try:
                with contextlib.suppress(TimeoutError):
                    told.append(connection.recv(4096))
                    return
                connection.sendall(b"\0")
            except (BrokenPipeError, ConnectionResetError):
                told.append(b"")
                return


@contextmanager
def dripping(port: int, clients: int) -> Iterator[list[bytes]]:
    """So many slow uploads at once; what they are told."""
    stopped, told = threading.Event(), []
    threads = [threading.Thread(target=drip, args=(port, stopped, told)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def test_others_are_answered_beside_many_slow_uploads(start):
    service = start()
    service.wait_until_ready()
    with dripping(service.port, CLIENTS):
        time.sleep(1)
        for number in range(5):
            response = service.client.post("/v1/attributions", files={"file": small_jpeg(number)})
            assert response.status_code == 200, response.text
        assert service.client.get("/readyz").status_code == 200


@pytest.mark.skipif(
    "body_silence_seconds" not in Settings.model_fields, reason="bodies have no time limit"
)
def test_slow_uploads_are_cut_off_and_their_places_are_free_again(start):
    service = start(settings={"queue_limit": 8, "max_batch_images": 8, "body_silence_seconds": 1.0})
    service.wait_until_ready()
    with dripping(service.port, 8) as told:
        wait_for(lambda: len(told) == 8)
    assert all(answer.split(b" ")[1] in {b"408", b"503"} for answer in told if answer), told
    response = service.client.post("/v1/attributions", files={"file": small_jpeg(1)})
    assert response.status_code == 200, response.text
