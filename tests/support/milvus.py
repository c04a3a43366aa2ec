"""An embedded Milvus for tests behind a port of its own, as `milvus-lite server` makes one."""

from __future__ import annotations

from pathlib import Path

import pytest


def require() -> None:
    """Skip what needs an embedded Milvus where there is none."""
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: no wheel for it here")


class MilvusServer:
    """A server in this process, on a port that stays the same from start to start."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, 0
        self.start()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Open the folder and listen; nothing is in its memory yet."""
        from milvus_lite.adapter.grpc.server import start_server_in_thread  # noqa: PLC0415

        self._server, self._database, self._port = start_server_in_thread(
            str(self._folder), host="127.0.0.1", port=self._port
        )

    def stop(self) -> None:
        """Break off every connection."""
        self._server.stop(grace=0).wait()
        self._database.close()
