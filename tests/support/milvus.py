"""An embedded Milvus for tests behind a port of its own, as `milvus-lite server` makes one."""

from __future__ import annotations

import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


def require() -> None:
    """Skip what needs an embedded Milvus where there is none."""
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: no wheel for it here")


def at_work() -> str:
    """Where the threads of a server in this process are: one that hangs may hang in there."""
    stacks = ("".join(traceback.format_stack(each)) for each in sys._current_frames().values())
    return "\n".join(each for each in stacks if "milvus_lite" in each)


class MilvusServer:
    """A server in this process, on a port that stays the same from start to start."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._port = folder, 0
        self.start()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Open the folder and listen; nothing is in its memory yet.

        Its collections are opened before anybody can ask: Milvus Lite 3.2.2 opens one twice where
        two clients are the first to ask for it, and what was written to one of the two is lost.
        """
        import grpc  # noqa: PLC0415
        from milvus_lite.adapter.grpc.servicer import MilvusServicer  # noqa: PLC0415
        from milvus_lite.db import MilvusLite  # noqa: PLC0415
        from pymilvus.grpc_gen import milvus_pb2_grpc  # noqa: PLC0415

        self.database = MilvusLite(str(self.folder))
        for name in self.database.list_collections():
            self.database.get_collection(name)
        self._server = grpc.server(ThreadPoolExecutor(10))
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(
            MilvusServicer(self.database), self._server
        )
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        self._server.start()

    def stop(self) -> None:
        """Break off every connection."""
        self._server.stop(grace=0).wait()
        self.database.close()
