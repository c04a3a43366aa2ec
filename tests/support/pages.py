"""What a person does on the web page."""

from playwright.sync_api import Page, expect


def upload(data: bytes, name: str = "query.jpg") -> dict:
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def choose(page: Page, data: bytes, name: str = "query.jpg") -> None:
    """Pick a file as a person does, and wait for what the page says to it."""
    with page.expect_file_chooser() as chooser:
        page.locator("#drop").click()
    chooser.value.set_files(upload(data, name))
    expect(page.locator("#status")).to_be_empty()
