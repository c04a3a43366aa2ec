"""Pictures of the page, light, dark and on a phone: `python docs/screenshots.py [NAME ...]`.

Those of the README: `python docs/screenshots.py answer sources --looks light --out docs/pictures`.

The photographs and the synthetic images are those of `attribution demo`; the service is real, on a
data folder that is thrown away (`--data` keeps it). Needs the extra `dev` and Chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps
from playwright.sync_api import BrowserContext, Page, sync_playwright

from app.cli.demo.running import running
from app.settings import Settings
from attribution.catalog import Catalog
from attribution.ingestion import ingest, read_manifest
from attribution.opening.load import Vision, load_vision
from attribution.synthesis import bundled_photographs, from_one, from_two

KEPT_OUT = "rocket"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome")))
)
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1360, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1360, "height": 900}},
    "phone": {
        "color_scheme": "light",
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
    },
}


@dataclass(frozen=True, slots=True)
class Query:
    """A file to drop on the page."""

    name: str
    data: bytes

    @property
    def upload(self) -> dict[str, object]:
        """As Playwright takes it."""
        return {"name": self.name, "mimeType": "image/png", "buffer": self.data}


def main() -> None:
    """Make the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *SCENES], metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("var/pictures"))
    parser.add_argument("--data", type=Path, help="a data folder to keep")
    parser.add_argument("--looks", nargs="*", choices=LOOKS, default=[*LOOKS])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        folder = arguments.data or Path(aside)
        settings = Settings(data=folder / "data", host="127.0.0.1", port=0)
        vision = load_vision(settings)
        queries = _prepare(folder, settings, vision)
        with running(settings, vision) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM)
            for look in arguments.looks:
                with browser.new_context(**LOOKS[look]) as context:
                    for name in arguments.names or SCENES:
                        page = _page(context, address)
                        SCENES[name](page, queries)
                        page.wait_for_timeout(400)
                        file = arguments.out / f"{name}-{look}.png"
                        whole = look == "phone" and not page.locator("dialog[open]").count()
                        page.screenshot(path=file, full_page=whole)
                        Image.open(file).quantize(256).save(file, optimize=True)
                        page.close()
            browser.close()


def _page(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(address)
    return page


def _prepare(folder: Path, settings: Settings, vision: Vision) -> list[Query]:
    """Hold the photographs, all but one, and make synthetic images of them."""
    photographs = {photo.name: photo for photo in bundled_photographs()}
    pictures = folder / "photographs"
    pictures.mkdir(parents=True, exist_ok=True)
    rows = []
    for place, (name, photo) in enumerate(photographs.items()):
        path = pictures / f"{name}.png"
        photo.image.save(path)
        if name != KEPT_OUT:
            rows.append(
                {"path": path.name, "title": name.capitalize(), "creator": photo.credit or None,
                 "licence": photo.licence, "metadata": {"origin": photo.origin},
                 "collection": "science" if place % 3 == 0 else "default"}
            )  # fmt: skip
    again = pictures / "astronaut-print.jpg"
    photographs["astronaut"].image.convert("L").convert("RGB").save(again, quality=70)
    rows.append({"path": again.name, "title": "Astronaut, print", "creator": "NASA",
                 "licence": "public domain"})  # fmt: skip
    manifest = pictures / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Catalog.open(settings.data) as catalog:
        catalog.put_collection("science", "Microscopes and telescopes")
        ingest(catalog, vision.encoder, read_manifest(manifest))
    held = {name: photo.image for name, photo in photographs.items()}
    made = {
        "poster-draft.png": from_two(held["astronaut"], held["coffee"], seed=0),
        "cat-edited.png": ImageOps.mirror(held["chelsea"]),
        "garden-01.png": from_two(held["china"], held["flower"], seed=0),
        "bike.png": from_one(held["motorcycle"], seed=0),
        "eye-scan.png": from_one(held["retina"], seed=0),
        "launch.png": from_one(held[KEPT_OUT], seed=0),
        "coins-laid-out.png": from_one(held["coins"], seed=0),
        "sky.png": held[KEPT_OUT].crop((0, 0, 200, 200)),
    }
    queries = [Query(name, _png(image)) for name, image in made.items()]
    return [*queries, Query("broken.png", queries[0].data[:300])]


def _png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.convert("RGB").save(written, "PNG")
    return written.getvalue()


def _start(page: Page, queries: list[Query]) -> None:
    del queries
    page.locator("#question summary").click()
    page.get_by_text("None chosen").wait_for()


def _sheet(page: Page, queries: list[Query]) -> None:
    page.locator("#file").set_input_files([query.upload for query in queries])
    page.get_by_text(f"{len(queries)} images answered", exact=True).wait_for()


def _answer(page: Page, queries: list[Query]) -> None:
    _sheet(page, queries)
    page.get_by_role("link", name="poster-draft.png").click()
    page.locator(".found img").first.wait_for()


def _where(page: Page, queries: list[Query]) -> None:
    _answer(page, queries)
    page.get_by_role("radio", name="Where alike").check()
    page.get_by_text("Lit and outlined").wait_for()


def _regions(page: Page, queries: list[Query]) -> None:
    _answer(page, queries)
    page.get_by_role("radio", name="Regions").check()
    page.locator(".legend").wait_for()


def _slider(page: Page, queries: list[Query]) -> None:
    _sheet(page, queries)
    page.get_by_role("link", name="bike.png").click()
    page.get_by_role("radio", name="Slider").check()


def _no(page: Page, queries: list[Query]) -> None:
    _sheet(page, [query for query in queries if query.name in ("launch.png", "sky.png")])
    page.get_by_role("link", name="launch.png").click()
    page.locator("h2.decision").wait_for()


def _sources(page: Page, queries: list[Query]) -> None:
    del queries
    page.get_by_role("link", name="Sources").click()
    page.get_by_text("sources held").wait_for()
    page.wait_for_timeout(600)


def _source(page: Page, queries: list[Query]) -> None:
    _sources(page, queries)
    page.get_by_role("link", name="Astronaut NASA").click()
    page.get_by_role("button", name="Similar to this one").click()
    page.get_by_role("heading", name="Similar to this one").wait_for()


def _job(page: Page, queries: list[Query]) -> None:
    page.get_by_role("link", name="Jobs").click()
    page.get_by_label("Files of a job").set_input_files([query.upload for query in queries])
    page.get_by_role("heading", name="Finished").wait_for()


def _jobs(page: Page, queries: list[Query]) -> None:
    _job(page, queries[:3])
    page.get_by_role("link", name="All jobs").click()
    page.locator(".jobs tbody tr").first.wait_for()


def _status(page: Page, queries: list[Query]) -> None:
    _sheet(page, queries)
    page.get_by_role("link", name="Status").click()
    page.get_by_role("heading", name="The last").wait_for()


def _evidence(page: Page, queries: list[Query]) -> None:
    _answer(page, queries)
    page.get_by_role("radio", name="Evidence").check()
    page.get_by_text("Lit: what the score").wait_for()


SCENES: dict[str, Callable[[Page, list[Query]], None]] = {
    "start": _start,
    "sheet": _sheet,
    "answer": _answer,
    "where": _where,
    "regions": _regions,
    "slider": _slider,
    "no-source": _no,
    "sources": _sources,
    "source": _source,
    "job": _job,
    "jobs": _jobs,
    "status": _status,
    "evidence": _evidence,
}


if __name__ == "__main__":
    main()
