"""Opens the service's page in the browser of whoever sits there; of nobody, none."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser

logger = logging.getLogger(__name__)
_PATIENCE = 600.0
_LOOK_SECONDS = 0.2
_OF_A_SCREEN = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def open_once_ready(url: str) -> None:
    """Open the page when the service answers that it is ready, from a thread; return at once."""
    if not has_screen():
        logger.info("there is no screen here to open a browser on: the page is at %s/", url)
        return
    threading.Thread(target=_open, args=(url,), name="browser", daemon=True).start()


def has_screen() -> bool:
    """Whether a browser has somewhere to appear; else one of the terminal might, and take it."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in _OF_A_SCREEN)


def _open(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _ready(url):
        if time.monotonic() > deadline:
            logger.warning("the service is not ready yet: open %s/ when it is", url)
            return
        time.sleep(_LOOK_SECONDS)
    if not webbrowser.open(f"{url}/"):
        logger.warning("no browser could be opened: the page is at %s/", url)


def _ready(url: str) -> bool:
    """Whether `/readyz` of this machine's own service says so; through no proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
