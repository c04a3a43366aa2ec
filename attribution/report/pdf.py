"""A report as a PDF, with the JSON form attached. Needs the extra `report`.

The same report gives the same bytes: its only date is the report's own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

from PIL import Image

from attribution.report import wording
from attribution.report.canonical import report_bytes
from attribution.report.document import Base64, Picture, Report, ReportedMaps, ReportedSource
from attribution.report.wording import Fact

try:
    from fpdf import FPDF
    from fpdf.enums import TextMode, WrapMode, XPos, YPos

    from attribution.report.lettering import FAMILY, Lettering
except ImportError as error:  # pragma: no cover - every test has it
    raise ImportError(
        "reports as PDF need the extra `report`: pip install 'attribution[report]'"
    ) from error

# It logs every glyph that it subsets, at a level that operators read.
logging.getLogger("fontTools").setLevel(logging.WARNING)

_MARGIN = 18.0  # millimetres, as all lengths here
_LINE = 4.6
_THUMBNAIL = 34.0
_MAP = 56.0
_MAP_PIXELS = 256
_LABEL, _NARROW_LABEL = 36.0, 20.0
_CARD = 46.0  # a card that has less room than this begins on the next page
_INK, _PALE, _ACCENT = (26, 26, 26), (74, 74, 74), (26, 79, 139)


def render_pdf(report: Report, *, font: Path | None = None) -> bytes:
    """The document's bytes.

    Args:
        report: signed or not.
        font: for characters that the bundled font lacks; see `lettering`.

    Raises:
        BadFont: `font` is no font.
    """
    pages = _Pages(report, font)
    try:
        return pages.render()
    finally:
        pages.lettering.close()


def check_font(font: Path) -> None:
    """Find out whether `render_pdf` can use this font.

    Raises:
        BadFont: it cannot.
    """
    Lettering(FPDF(), font).close()


class _Pages(FPDF):
    """A4 pages of one report."""

    def __init__(self, report: Report, font: Path | None) -> None:
        super().__init__(format="A4")
        self.report = report
        self.lettering = Lettering(self, font)
        self.set_margin(_MARGIN)
        self.c_margin = 0
        self.set_auto_page_break(auto=True, margin=_MARGIN)
        self.set_lang("en")
        self.set_title(f"{wording.TITLE}: {wording.verdict(report).headline}")
        self.set_subject(f"SHA-256 {report.query.sha256}")
        self.set_creator(f"{report.service.name} {report.service.version}")
        self.made_at = datetime.fromisoformat(report.created_at)
        self.set_creation_date(self.made_at)

    def render(self) -> bytes:
        """All sections in order."""
        report = self.report
        self.add_page()
        self.line_of(wording.TITLE, size=18, bold=True)
        self.ln(3)
        self.query_section()
        self.verdict_section()
        self.region_section()
        self.heading("Ranked sources")
        for source in report.sources:
            self.source_card(source)
        self.facts(wording.remaining_shares(report))
        self.heading("What these figures mean")
        for text in report.statement[1:]:
            self.paragraph(text)
        self.heading("How they were found")
        self.paragraph(report.method.description)
        self.facts(wording.circumstance_facts(report))
        self.heading("Signature")
        self.paragraph(wording.how_to_verify(report))
        self.facts(wording.signature_facts(report))
        self.embed_file(
            bytes=report_bytes(report),
            basename=f"{report.filename}.json",
            mime_type="application/json",
            modification_date=self.made_at,
        )
        return bytes(self.output())

    def footer(self) -> None:
        """Which report a loose sheet belongs to."""
        self.set_xy(_MARGIN, -_MARGIN + 4)  # the left margin may be that of a text beside a picture
        self.set_font(FAMILY, size=7)
        self.set_text_color(_PALE)
        query = f"{wording.TITLE} {self.report.query.sha256[:16]}, {self.report.created_at}"
        self.cell(text=self.lettering.set(f"{query}, page {self.page_no()}"))

    def query_section(self) -> None:
        """The image asked about, with its facts beside it."""
        self.heading("The image asked about")
        thumbnail = self.report.query.thumbnail
        self.beside(
            thumbnail, "The image asked about", lambda: self.facts(wording.query_facts(self.report))
        )

    def verdict_section(self) -> None:
        """The decision, which must be seen before any ranked list."""
        verdict = wording.verdict(self.report)
        self.ln(2)
        self.line_of(verdict.headline, size=15, bold=True, ink=_ACCENT)
        self.paragraph(verdict.reason)
        self.paragraph(self.report.statement[0])

    def region_section(self) -> None:
        """Which part of the query resembles which source."""
        region_map = self.report.region_map
        if region_map is None:
            return
        self.heading("Which part resembles which source")
        self.room_for(_MAP + _LINE)
        caption = "Regions of the image"
        x, y = self.get_x(), self.get_y()
        height = self.overlaid(
            self.report.query.thumbnail, region_map.png, caption, Image.Resampling.NEAREST
        )
        self.set_y(y + height + 1)
        for region in region_map.legend:
            self.set_fill_color(region.colour)
            self.rect(x, self.get_y() + 1, 3, 3, style="F")
            name = "no source" if region.rank is None else f"source {region.rank}"
            self.line_of(name, size=9, indent=5)

    def source_card(self, source: ReportedSource) -> None:
        """One ranked source: name, figures, what is known of it, maps."""
        self.room_for(_CARD)
        self.set_draw_color(180)
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
        self.ln(2)
        name = f"{source.rank}. {wording.source_name(source)}"
        self.line_of(name, size=11, bold=True, ink=_ACCENT if source.attributed else _INK)
        figures = "    ".join(
            f"{fact.label}: {fact.value}" for fact in wording.source_figures(source)
        )

        def text() -> None:
            self.line_of(figures, size=9.5)
            self.facts(wording.source_facts(source))

        self.beside(source.thumbnail, f"Source {source.rank}", text)
        if source.maps is not None:
            self.heat_maps(source, source.maps)
        self.ln(2)

    def heat_maps(self, source: ReportedSource, maps: ReportedMaps) -> None:
        """Over the query and over the source, side by side."""
        self.room_for(_MAP + 2 * _LINE)
        x, y, rank = self.l_margin, self.get_y(), source.rank
        query, shown = self.report.query.thumbnail, source.thumbnail
        for picture, png, caption in (
            (query, maps.query_png, f"Where the image resembles source {rank}"),
            (shown, maps.source_png, f"Where source {rank} resembles the image"),
        ):
            self.set_xy(x, y)
            self.overlaid(picture, png, caption, Image.Resampling.BILINEAR)
            self.set_font(FAMILY, size=8)
            self.set_xy(x, y + _MAP)
            self.cell(text=self.lettering.set(caption))
            x += _MAP + 30
        self.set_xy(self.l_margin, y + _MAP + _LINE)

    def overlaid(
        self, picture: Picture | None, png: Base64, caption: str, method: Image.Resampling
    ) -> float:
        """A map over its picture at the present place; returns the height, at most `_MAP`."""
        grid = Picture(media_type="image/png", data=png)
        size = _size_of(picture or grid)
        width, height = _fitted(size, _MAP)
        x, y = self.get_x(), self.get_y()
        if picture is not None:
            content = BytesIO(picture.content)
            self.image(content, x=x, y=y, w=width, h=height, alt_text=caption)
        with Image.open(BytesIO(grid.content), formats=["PNG"]) as image:
            pixels = [max(1, round(side)) for side in _fitted(size, _MAP_PIXELS)]
            enlarged = image.convert("RGBA").resize((pixels[0], pixels[1]), method)
        self.image(enlarged, x=x, y=y, w=width, h=height, alt_text=caption)
        return height

    def beside(self, picture: Picture | None, caption: str, text: Callable[[], None]) -> None:
        """A thumbnail on the left, text on its right, both cleared at the end."""
        page, top, margin = self.page, self.get_y(), self.l_margin
        height = 0.0
        if picture is not None:
            width, height = _fitted(_size_of(picture), _THUMBNAIL)
            content = BytesIO(picture.content)
            self.image(content, x=margin, y=top, w=width, h=height, alt_text=caption)
            self.set_left_margin(margin + _THUMBNAIL + 4)
        text()
        self.set_left_margin(margin)
        self.set_x(margin)
        if self.page == page:
            self.set_y(max(self.get_y(), top + height + 2))

    def facts(self, facts: list[Fact]) -> None:
        """Names and values in two columns, closer together beside a picture."""
        label = _LABEL if self.l_margin == _MARGIN else _NARROW_LABEL
        for fact in facts:
            self.set_font(FAMILY, size=7.6)
            self.set_text_color(_PALE)
            self.cell(label, _LINE, self.lettering.set(fact.label))
            self.set_text_color(_INK)
            self.multi_cell(
                0, _LINE, self.lettering.set(fact.value),
                align="L", wrapmode=WrapMode.WORD if " " in fact.value else WrapMode.CHAR,
                new_x=XPos.LMARGIN, new_y=YPos.NEXT,
            )  # fmt: skip

    def heading(self, text: str) -> None:
        """The title of a section, with room for what follows."""
        self.room_for(24)
        self.ln(3)
        self.start_section(text)
        self.line_of(text, size=12, bold=True)
        self.ln(1)

    def paragraph(self, text: str) -> None:
        """Running text."""
        self.line_of(text, size=9.5)
        self.ln(1.2)

    def line_of(
        self,
        text: str,
        *,
        size: float,
        bold: bool = False,
        ink: tuple[int, int, int] = _INK,
        indent: float = 0.0,
    ) -> None:
        """Text over the whole width, wrapped; bold is the outline drawn as well."""
        self.set_font(FAMILY, size=size)
        self.set_text_color(ink)
        self.set_draw_color(ink)
        self.set_x(self.l_margin + indent)
        mode = TextMode.FILL_STROKE if bold else TextMode.FILL
        with self.local_context(text_mode=mode, line_width=0.008 * size):
            self.multi_cell(
                0, size * 0.48, self.lettering.set(text),
                align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT,
            )  # fmt: skip

    def room_for(self, height: float) -> None:
        """Begin a page where less than `height` is left on this one."""
        if self.get_y() + height > self.page_break_trigger:
            self.add_page()


def _size_of(picture: Picture) -> tuple[int, int]:
    with Image.open(BytesIO(picture.content), formats=["JPEG", "PNG"]) as image:
        return image.size


def _fitted(size: tuple[int, int], side: float) -> tuple[float, float]:
    """Width and height of the same proportions, the longer one `side`."""
    scale = side / max(size)
    return size[0] * scale, size[1] * scale
