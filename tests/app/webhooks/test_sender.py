"""How long a message waits for its answer, and for its next attempt."""

import contextlib
import socket
import ssl
import threading
from types import SimpleNamespace

import pytest

from app.webhooks.sender import Sender, backoff


def test_each_attempt_waits_longer_and_none_as_long_as_another():
    for attempts, longest in ((0, 5), (1, 10), (3, 40), (20, 21600), (500, 21600)):
        waits = {backoff(attempts) for _ in range(50)}
        assert len(waits) > 1
        assert all(longest / 2 <= each <= longest for each in waits)


def test_an_answer_that_comes_byte_by_byte_is_waited_for_no_longer_than_another(monkeypatch):
    monkeypatch.setattr("app.webhooks.sender._ANSWER_SECONDS", 0.3)
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        with contextlib.suppress(ConnectionError), listener.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(200):
                if ended.wait(0.02):
                    return
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        sender = Sender(
            url, None, [b"key"], attempts=2, private=True, trusted=ssl.create_default_context()
        )
        with pytest.raises(TimeoutError):
            sender._post(SimpleNamespace(message_id="msg_1"), b"{}")
        ended.set()
        thread.join()
