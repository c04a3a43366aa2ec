"""Serves in a fork for every line that it reads: importing torch and FAISS costs seconds, a fork
does not. Run as ``python -m tests.fault.service_forks``; `service_process` is the other end.

A line is a JSON object: `do` is "serve" or "curate", `folder` the data folder.
"""

import json
import os
import random
import signal
import socket
import sys
import time
from itertools import count
from pathlib import Path

import torch
import uvicorn

from app.encoders.load import Vision
from app.factory import open_app
from app.settings import Settings
from attribution.catalog import Catalog, CatalogBusy
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder


class Paced(ThumbnailBackbone):
    """Takes so many seconds an image, without work for the processor."""

    pause = 0.0

    def forward(self, images):
        time.sleep(self.pause * len(images))
        return super().forward(images)


def serve(order, encoder, backbone):
    """The whole service, with the encoder of thumbnails in place of the bundled one."""
    backbone.pause = order.get("pause", 0.0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        print(os.getpid(), listener.getsockname()[1], flush=True)
        settings = Settings(data=order["folder"], inference_threads=1, **order.get("settings", {}))
        with open_app(settings, Vision(encoder, None)) as app:
            config = uvicorn.Config(
                app,
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=30,
            )
            uvicorn.Server(config).run([listener])


def curate(order):
    """Makes and revokes keys and compacts beside the service, as the command line does.

    Says in a file what it is about to do and what it has done. Never returns.
    """
    print(os.getpid(), 0, flush=True)
    moves = random.Random(order["seed"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    active = dict(order["active"])
    with Catalog.open(order["folder"]) as catalog:
        for number in count():
            what = moves.choices(["make", "revoke", "compact"], [6, 5, 1])[0]
            if what == "make" and len(active) < 6:
                issued = catalog.keys.create(
                    f"{order['seed']}-{number}", scopes=["query", "curate"]
                )
                active[issued.key.key_id] = issued.token
                _say(log, "made", issued.key.key_id, issued.token)
            elif what == "revoke" and active:
                key_id = moves.choice(sorted(active))
                _say(log, "revoking", key_id, active.pop(key_id))
                catalog.keys.revoke(key_id)
                _say(log, "revoked", key_id, "-")
            elif what == "compact":
                catalog.compaction.ask()
                try:
                    catalog.compaction.run()
                except CatalogBusy:  # readers kept the log in use: it stays due
                    continue
                _say(log, "compacted", "-", "-")
            time.sleep(0.05)


def _say(log, *words):
    os.write(log, (" ".join(words) + "\n").encode())


def main():
    torch.set_num_threads(1)  # no pool of threads that a fork would leave behind
    backbone = Paced()
    encoder = thumbnail_encoder(backbone)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # What the service logs of being killed and of full disks is no news in these tests.
            error = os.open(Path(order["folder"]).parent / "service.log",
                            os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # fmt: skip
            os.dup2(error, 2)
            try:
                if order["do"] == "serve":
                    serve(order, encoder, backbone)
                else:
                    curate(order)
            except BaseException as error:  # noqa: BLE001 (the fork must not go on as its parent)
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)


if __name__ == "__main__":
    main()
