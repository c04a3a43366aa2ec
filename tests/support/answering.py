"""A service that answers what a test has written down."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager

import httpx

from tests.support.clients import NO_TLS


@contextmanager
def answering(*answers):
    """A client of a service that answers so, one after the other, and what was sent to it."""
    seen = []
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            seen.append((self.headers.get("Idempotency-Key"), self.rfile.read(length)))
            status, headers, body = left.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            with httpx.Client(base_url=url, verify=NO_TLS, trust_env=False) as plain:
                yield plain, seen
        finally:
            server.shutdown()
