"""Holds real photographs, makes synthetic images from them, and asks the service about each.

The synthetic images go over HTTP like anyone's would. One photograph is kept out of the gallery,
so that the honest answer for what is made from it is "no source found".
"""

from __future__ import annotations

import io
import json
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from rich.table import Table
from rich.text import Text

from app.cli.console import out, progress
from app.cli.demo.contact_sheet import Cell, contact_sheet
from app.cli.demo.running import running
from app.settings import Settings
from attribution.catalog import Catalog
from attribution.ingestion import ingest, read_manifest
from attribution.opening.load import load_vision
from attribution.synthesis import Photograph, bundled_photographs, from_one, from_two
from models.encoder import Encoder
from models.processor import usable_cores

KEPT_OUT = "rocket"
TOP_K = 5
_MAKING = "Making synthetic images"
# Pictures with a recognisable layout first; a structure that is all texture leaves nothing to find.
ONE_SOURCE = (
    "astronaut", "chelsea", "coffee", "china", "flower", "motorcycle", "retina", "tissue",
    "camera", "coins", "cell", "hubble", "page", "clock", "moon", "grass", "gravel", "brick",
)  # fmt: skip
TWO_SOURCES = (
    ("china", "flower"), ("astronaut", "coffee"), ("chelsea", "tissue"), ("motorcycle", "retina"),
    ("coffee", "china"), ("flower", "chelsea"), ("tissue", "coins"), ("camera", "brick"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A synthetic image and the names of the photographs it was made from."""

    path: Path
    truth: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether the photographs are in the gallery at all."""
        return KEPT_OUT not in self.truth


@dataclass(frozen=True, slots=True)
class Told:
    """What the service answered about an image, beside the truth."""

    image: Synthetic
    answer: dict[str, Any]

    @property
    def decision(self) -> str:
        """In words."""
        return str(self.answer["decision"] or "ranked only").replace("_", " ")

    @property
    def right(self) -> bool:
        """One source: at rank 1. Two: both among the first five. None held: none claimed."""
        truth = self.image.truth
        if not self.image.held:
            return bool(self.answer["decision"] == "no_source_found")
        found = [source["title"] for source in self.answer["sources"]]
        return set(truth) <= set(found[: 1 if len(truth) == 1 else TOP_K])


def show_all(
    settings: Settings, folder: Path, *, singles: int, pairs: int, seed: int, leave: bool
) -> bool:
    """Hold the photographs, make images of them, ask, and print; whether every answer is right."""
    photographs = bundled_photographs()
    images = _synthetic(photographs, folder, singles, pairs, seed)
    vision = load_vision(settings)
    _ingest(photographs, folder, settings, vision.encoder)
    with running(settings, vision) as address:
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            answers = [_ask(client, image) for image in images]
            _print(answers)
            sheet = folder / "contact-sheet.png"
            _draw(client, answers).save(sheet, compress_level=1)
        right = sum(told.right for told in answers)
        out.print(f"\n{right} of {len(answers)} answers are right. Contact sheet: {sheet}")
        if not leave:
            out.print(
                f"The service runs at {address} (API reference: {address}/docs). "
                "Drop an image on the page, or:\n"
                f"  curl -F file=@{images[0].path} {address}/v1/attributions\n"
                "Ctrl-C stops it."
            )
            _wait_for_interrupt()
    return right == len(answers)


def _synthetic(
    photographs: Sequence[Photograph], folder: Path, singles: int, pairs: int, seed: int
) -> list[Synthetic]:
    """Make the synthetic images; those that an earlier run has made are taken as they are."""
    pictures = {photo.name: photo.image for photo in photographs}
    wanted = [(name,) for name in ONE_SOURCE[:singles]] + [*TWO_SOURCES[:pairs], (KEPT_OUT,)]
    made = folder / f"synthetic-{seed}"
    made.mkdir(parents=True, exist_ok=True)
    images = [Synthetic(made / f"{'-with-'.join(truth)}.png", truth) for truth in wanted]
    missing = [image for image in images if not image.path.exists()]

    def make(image: Synthetic) -> None:
        sources = [pictures[name] for name in image.truth]
        picture = (from_one if len(sources) == 1 else from_two)(*sources, seed=seed)
        aside = image.path.with_suffix(".part")
        picture.save(aside, format="PNG")
        aside.replace(image.path)

    with ThreadPoolExecutor(usable_cores()) as pool, progress() as bar:
        list(bar.track(pool.map(make, missing), len(missing), description=_MAKING))
    return images


def _ingest(
    photographs: Sequence[Photograph], folder: Path, settings: Settings, encoder: Encoder
) -> None:
    pictures = folder / "photographs"
    pictures.mkdir(parents=True, exist_ok=True)
    rows = []
    for photo in photographs:
        path = pictures / f"{photo.name}.png"
        if not path.exists():
            photo.image.save(path, compress_level=1)  # the default takes three times as long
        if photo.name != KEPT_OUT:
            rows.append(
                {"path": path.name, "title": photo.name, "creator": photo.credit or None,
                 "licence": photo.licence, "metadata": {"origin": photo.origin}}
            )  # fmt: skip
    manifest = pictures / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Catalog.open(settings.data) as catalog:
        report = ingest(catalog, encoder, read_manifest(manifest))
    out.print(
        f"{len(rows)} photographs held ({report.added} new); {KEPT_OUT!r} is kept out on purpose"
    )


def _ask(client: httpx.Client, image: Synthetic) -> Told:
    with image.path.open("rb") as file:
        response = client.post("/v1/attributions", params={"top_k": TOP_K}, files={"file": file})
    response.raise_for_status()
    return Told(image, response.json())


def _print(answers: Sequence[Told]) -> None:
    table = Table(title="Synthetic images and where the service says they came from")
    for column in ("made from", "decision", "p"):
        table.add_column(column, no_wrap=True)
    table.add_column("ranked sources: score, share (* attributed)")
    table.add_column("right", no_wrap=True)
    for told in answers:
        answer, image = told.answer, told.image
        ranked = "  ".join(
            f"{source['title']} {source['score']:.1f} {source['share']:.0%}"
            + ("*" if source["attributed"] else "")
            for source in answer["sources"][: 3 if len(image.truth) == 1 else TOP_K]
        )
        made_from = " + ".join(image.truth) + ("" if image.held else " (not held)")
        p_value = "-" if answer["p_value"] is None else f"{answer['p_value']:.4f}"
        right = Text("yes") if told.right else Text("no", style="red")
        table.add_row(made_from, told.decision, p_value, ranked, right)
    out.print(table)


def _draw(client: httpx.Client, answers: Sequence[Told]) -> Image.Image:
    rows = []
    for told in answers:
        cells = [
            Cell(
                Image.open(io.BytesIO(client.get(source["thumbnail_url"]).content)),
                (f"{source['rank']}. {source['title']}",
                 f"share {source['share']:.0%}, p {source['p_value']:.2g}"
                 if source["p_value"] is not None else f"share {source['share']:.0%}"),
                true=source["title"] in told.image.truth,
            )
            for source in told.answer["sources"]
        ]  # fmt: skip
        lines = (" + ".join(told.image.truth), told.decision)
        rows.append((Cell(Image.open(told.image.path), lines), cells))
    return contact_sheet(rows, title="Query (blue), then its ranked sources; true ones are green")


def _wait_for_interrupt() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
