"""A real Chromium before a real service; a page that complains or calls out fails its test."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from app.settings import Settings
from models.background import Background
from models.encoder import Encoder
from tests.support.encoders import background_of, thumbnail_encoder
from tests.support.service import Running, serving
from tests.support.waiting import PATIENCE

# The shell has no windows to draw and takes half the time.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome",
          "google-chrome-stable", "chrome")  # fmt: skip
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Chromium logs every refused fetch, although the page has dealt with the refusal.
_REFUSED = "Failed to load resource: the server responded with a status of"
SOURCES = 20
expect.set_options(timeout=1000 * PATIENCE)  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return thumbnail_encoder()


@pytest.fixture(scope="session")
def background(encoder) -> Background:
    return background_of(encoder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: Playwright's event loop would be in the way of `asyncio.run`."""
    chromium = next(filter(None, map(shutil.which, _NAMES)), None)
    if chromium is None:
        reason = f"Chromium is not installed: none of {', '.join(_NAMES)} is on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory, encoder, background) -> Iterator[Running]:
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background) as running:
        for seed in range(SOURCES):
            running.add(seed)
        yield running


@pytest.fixture
def page(browser) -> Iterator[Page]:
    """A fresh page, watched until the test ends."""
    complaints: list[str] = []
    elsewhere: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_REFUSED):
            complaints.append(message.text)

    def watch(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            elsewhere.append(request.url)

    with browser.new_context() as context:
        context.on("request", watch)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", listen)
        page = context.new_page()
        # Caught from the start: a fast key would open Chromium's own dialog before a test waits.
        page.on("filechooser", lambda _: None)
        yield page
    assert not complaints
    assert not elsewhere
