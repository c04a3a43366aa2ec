"""What a person does on the web page."""

import base64
from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

SLIT = {"width": 1000, "height": 160}
"""A window in which there is little to paint, for long lists: Chromium has no other hands here."""


def upload(data: bytes, name: str = "query.jpg") -> dict:
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def choose(page: Page, data: bytes, name: str = "query.jpg") -> None:
    """Pick a file as a person does, and wait for what the page says to it."""
    with page.expect_file_chooser() as chooser:
        page.locator("#drop").click()
    chooser.value.set_files(upload(data, name))
    expect(page.locator("#detail .path .file")).to_have_text(name)
    expect(page.locator("#detail .decision")).to_be_visible()


def drop(page: Page, files: Sequence[tuple[str, bytes]]) -> None:
    """Drop files, or what is none, on the page beside the box."""
    page.locator("nav a[aria-current]").wait_for()  # the page listens
    dropped = page.evaluate_handle(
        """files => {
          const dropped = new DataTransfer();
          for (const [name, encoded] of files) {
            const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
            dropped.items.add(new File([bytes], name, { type: "image/jpeg" }));
          }
          return dropped;
        }""",
        [(name, base64.b64encode(data).decode()) for name, data in files],
    )
    page.dispatch_event("h1 >> visible=true", "drop", {"dataTransfer": dropped})


def give_key(page: Page, token: str) -> None:
    """Type a key into the dialogue that asks for one."""
    page.locator("#key").fill(token)
    page.keyboard.press("Enter")


def blame(page: Page) -> None:
    """Fail for what axe finds that keeps somebody from using the page."""
    found = Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == []
