"""`attribution demo`: real photographs, synthetic images made from them, and the service's answers.

The synthetic images go over HTTP like anyone's would. One photograph is kept out of the gallery,
so that the honest answer for what is made from it is "no source found".
"""

from __future__ import annotations

import io
import json
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from PIL import Image
from rich.table import Table
from rich.text import Text

from app.cli import options
from app.cli.console import out, progress
from app.cli.demo.contact_sheet import Cell, Row, contact_sheet
from app.cli.demo.running import running
from app.cli.options import settings_from
from app.encoders.gallery import load_vision
from app.settings import Settings
from attribution.catalog import Catalog
from attribution.ingestion import ingest, read_manifest
from attribution.synthesis import Photograph, bundled_photographs, from_one, from_two
from models.encoder import Encoder

KEPT_OUT = "rocket"
TOP_K = 5
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
class Query:
    """A synthetic image and the names of the photographs it was made from."""

    path: Path
    truth: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the service answered, beside the truth."""

    query: Query
    answer: dict[str, Any]

    @property
    def found(self) -> tuple[str, ...]:
        """Names of the ranked sources."""
        return tuple(source["title"] for source in self.answer["sources"])

    @property
    def held(self) -> bool:
        """Whether the sources are in the gallery at all."""
        return KEPT_OUT not in self.query.truth

    @property
    def right(self) -> bool:
        """One source: at rank 1. Two: both among the first five. None held: none claimed."""
        if not self.held:
            return bool(self.answer["decision"] == "no_source_found")
        if len(self.query.truth) == 1:
            return self.found[:1] == self.query.truth
        return set(self.query.truth) <= set(self.found[:TOP_K])


def demo_command(
    leave: Annotated[
        bool, typer.Option("--exit", help="Stop after the answers instead of serving on.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--out", help="Where photographs, queries and catalog go.")
    ] = Path("demo"),
    singles: Annotated[int, typer.Option(min=1, max=18, help="Images made from one source.")] = 8,
    pairs: Annotated[int, typer.Option(min=0, max=8, help="Images made from two.")] = 4,
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    seed: Annotated[int, typer.Option(min=0, help="Other images for another seed.")] = 0,
    encoder: options.Encoder = None,
) -> None:
    """See the whole thing work on real photographs, with nothing downloaded.

    Ingests photographs that ship inside scikit-image and scikit-learn, makes synthetic images
    from some of them, starts the service, asks it over HTTP, prints its ranked sources beside the
    truth, and draws a contact sheet. Goes on serving until Ctrl-C. Exits with 1 when an answer is
    wrong.
    """
    settings = settings_from(
        data=folder / "data", encoder=encoder, host="127.0.0.1", port=port
    ).model_copy(update={"database_url": None})  # never the caller's own catalog
    photographs = bundled_photographs()
    queries = _synthetic(photographs, folder, singles, pairs, seed)
    vision = load_vision(settings)
    _ingest(photographs, folder, settings, vision.encoder)
    with running(settings, vision) as address:
        outcomes = _ask(address, queries)
        _print(outcomes)
        sheet = folder / "contact-sheet.png"
        _draw(address, outcomes).save(sheet)
        right = sum(outcome.right for outcome in outcomes)
        out.print(f"\n{right} of {len(outcomes)} answers are right. Contact sheet: {sheet}")
        if not leave:
            out.print(
                f"The service runs at {address} (API reference: {address}/docs). "
                "Drop an image on the page, or:\n"
                f"  curl -F file=@{queries[0].path} {address}/v1/attributions\n"
                "Ctrl-C stops it."
            )
            _wait_for_interrupt()
    if right < len(outcomes):
        raise typer.Exit(1)


def _synthetic(
    photographs: Sequence[Photograph], folder: Path, singles: int, pairs: int, seed: int
) -> list[Query]:
    """Make the synthetic images; those that an earlier run has made are taken as they are."""
    images = {photo.name: photo.image for photo in photographs}
    wanted = [(name,) for name in ONE_SOURCE[:singles]] + [*TWO_SOURCES[:pairs], (KEPT_OUT,)]
    made = folder / f"synthetic-{seed}"
    made.mkdir(parents=True, exist_ok=True)
    queries = [Query(made / f"{'-with-'.join(truth)}.png", truth) for truth in wanted]
    with progress() as bar:
        for query in bar.track(queries, description="Making synthetic images"):
            if query.path.exists():
                continue
            sources = [images[name] for name in query.truth]
            if len(sources) == 1:
                picture = from_one(sources[0], seed=seed)
            else:
                picture = from_two(sources[0], sources[1], seed=seed)
            aside = query.path.with_suffix(".part")
            picture.save(aside, format="PNG")
            aside.replace(query.path)
    return queries


def _ingest(
    photographs: Sequence[Photograph], folder: Path, settings: Settings, encoder: Encoder
) -> None:
    pictures = folder / "photographs"
    pictures.mkdir(parents=True, exist_ok=True)
    rows = []
    for photo in photographs:
        path = pictures / f"{photo.name}.png"
        if not path.exists():
            photo.image.save(path)
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


def _ask(address: str, queries: Sequence[Query]) -> list[Outcome]:
    outcomes = []
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        for query in queries:
            with query.path.open("rb") as file:
                response = client.post(
                    "/v1/attributions", params={"top_k": TOP_K}, files={"file": file}
                )
            response.raise_for_status()
            outcomes.append(Outcome(query, response.json()))
    return outcomes


def _print(outcomes: Sequence[Outcome]) -> None:
    table = Table(title="Synthetic images and where the service says they came from")
    for column in ("made from", "decision", "p"):
        table.add_column(column, no_wrap=True)
    table.add_column("ranked sources: score, share (* attributed)")
    table.add_column("right", no_wrap=True)
    for outcome in outcomes:
        answer = outcome.answer
        ranked = "  ".join(
            f"{source['title']} {source['score']:.1f} {source['share']:.0%}"
            + ("*" if source["attributed"] else "")
            for source in answer["sources"][: 3 if len(outcome.query.truth) == 1 else TOP_K]
        )
        made_from = " + ".join(outcome.query.truth) + ("" if outcome.held else " (not held)")
        p_value = "-" if answer["p_value"] is None else f"{answer['p_value']:.4f}"
        decision = (answer["decision"] or "ranked only").replace("_", " ")
        right = Text("yes") if outcome.right else Text("no", style="red")
        table.add_row(made_from, decision, p_value, ranked, right)
    out.print(table)


def _draw(address: str, outcomes: Sequence[Outcome]) -> Image.Image:
    rows = []
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        for outcome in outcomes:
            cells = [
                Cell(
                    Image.open(io.BytesIO(client.get(source["thumbnail_url"]).content)),
                    (f"{source['rank']}. {source['title']}",
                     f"share {source['share']:.0%}, p {source['p_value']:.2g}"
                     if source["p_value"] is not None else f"share {source['share']:.0%}"),
                    true=source["title"] in outcome.query.truth,
                )
                for source in outcome.answer["sources"]
            ]  # fmt: skip
            verdict = (outcome.answer["decision"] or "ranked only").replace("_", " ")
            query = Cell(Image.open(outcome.query.path), (" + ".join(outcome.query.truth), verdict))
            rows.append(Row(query, cells))
    return contact_sheet(rows, title="Query (blue), then its ranked sources; true ones are green")


def _wait_for_interrupt() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
