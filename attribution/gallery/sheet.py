"""Answers as a notebook shows them: a sheet of small pictures and figures.

Other people's words in it are text, whatever they hold; nothing runs, and nothing is fetched.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from attribution.answer import Attribution, RankedSource
from attribution.catalog import CatalogError, Collection
from attribution.explanation import Explanation, Previewed, SourceMaps
from attribution.explanation.pictures import heat_picture, overlaid, region_picture
from attribution.opt_out import opt_out_of
from attribution.report.wording import against

SHOWN = 50
"""Images that a sheet shows; the list holds all."""
_SOURCES = 5
_SIDE = 128
_QUALITY = 80
_CELL = "padding:4px 8px;text-align:left;vertical-align:top;max-width:14em;overflow-wrap:anywhere"
_MATCHES = {None: "", "identical": "this very file", "copy": "this very picture"}


@dataclass(frozen=True, slots=True)
class Asked:
    """An image that was asked about: what it is called, and a small picture of it."""

    name: str
    picture: Image.Image


class Sheet(list[Attribution]):
    """The answers to some images in their order; in a notebook, a sheet of pictures."""

    def __init__(
        self,
        answers: Iterable[Attribution],
        asked: Sequence[Asked],
        preview: Callable[[str], Image.Image],
    ) -> None:
        super().__init__(answers)
        self._asked = tuple(asked)
        self._preview = preview

    def _repr_html_(self) -> str:
        rows = [
            _row(_picture(asked.picture, asked.name), [_decision(answer)], self._cells(answer))
            for asked, answer in zip(self._asked[:SHOWN], self, strict=False)
        ]
        more = len(self) - len(rows)
        rest = f"<p>and {more} more, which the list holds</p>" if more > 0 else ""
        return f'<table style="border-collapse:collapse">{"".join(rows)}</table>{rest}'

    def _cells(self, answer: Attribution) -> list[str]:
        return [_source(each, self._thumbnail(each)) for each in answer.sources[:_SOURCES]]

    def _thumbnail(self, ranked: RankedSource) -> str:
        try:
            return _picture(self._preview(ranked.source.source_id), "")
        except (CatalogError, ValueError):  # deleted since, or the gallery is closed
            return "<em>no picture any more</em>"


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Where an image resembles its sources.

    Attributes:
        query: the image, upright.
        attribution: the answer.
        explanation: the maps as numbers.
        previewed: the sources that have maps, with their pictures, in the order of the maps.
    """

    query: Image.Image
    attribution: Attribution
    explanation: Explanation
    previewed: tuple[Previewed, ...]

    @property
    def regions(self) -> Image.Image:
        """The image with a colour for each source that a region resembles most."""
        return overlaid(self.query, region_picture(self.explanation.region_map), smooth=False)

    def heat(self, rank: int) -> tuple[Image.Image, Image.Image]:
        """Where the image and the source of a rank are alike, laid over both.

        Raises:
            KeyError: that rank has no map.
        """
        maps, shown = self._of_rank()[rank]
        return (
            overlaid(self.query, heat_picture(maps.query), smooth=True),
            overlaid(shown.image, heat_picture(maps.source), smooth=True),
        )

    def evidence(self, rank: int) -> Image.Image | None:
        """What of the image the score of a source rests on, laid over it; None without a map.

        Raises:
            KeyError: that rank has no map.
        """
        borne = self._of_rank()[rank][0].evidence
        return None if borne is None else overlaid(self.query, heat_picture(borne), smooth=True)

    def _of_rank(self) -> dict[int, tuple[SourceMaps, Previewed]]:
        pairs = zip(self.explanation.sources, self.previewed, strict=True)
        return {maps.rank: (maps, shown) for maps, shown in pairs}

    def _repr_html_(self) -> str:
        pictures = [_picture(self.query, "the image"), _picture(self.regions, "its regions")]
        rows = [_row("", [_decision(self.attribution)], pictures)]
        for rank, (_, shown) in self._of_rank().items():
            over_query, over_source = self.heat(rank)
            maps = [_picture(over_query, "in the image"), _picture(over_source, "in the source")]
            borne = self.evidence(rank)
            if borne is not None:
                maps.append(_picture(borne, "what the score rests on"))
            rows.append(_row("", [_source(shown.ranked, "")], maps))
        return f'<table style="border-collapse:collapse">{"".join(rows)}</table>'


def picture_of(image: Image.Image | bytes) -> Image.Image:
    """A small RGB copy of a picture, or of the JPEG that a preview is."""
    if isinstance(image, bytes):
        with Image.open(io.BytesIO(image), formats=["JPEG"]) as opened:
            return opened.convert("RGB")
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    return small


def gallery_html(name: str, collections: Sequence[Collection]) -> str:
    """What a gallery holds."""
    rows = [
        _row(escape(each.name), [f"{each.sources:,} sources"], [escape(each.description)])
        for each in collections
    ]
    head = f"<p>Gallery in <code>{escape(name)}</code></p>"
    return f'{head}<table style="border-collapse:collapse">{"".join(rows)}</table>'


def _decision(answer: Attribution) -> str:
    if answer.reason == "nothing-held":
        return "nothing to compare with: no sources are held"
    if answer.decision is None:
        return "ranked only: this encoder has no background"
    decided = answer.decision.replace("_", " ")
    p_value = "none" if answer.p_value is None else against(answer.p_value, answer.alpha, 2)
    return f"<b>{decided}</b><br>p = {p_value}, alpha = {answer.alpha:g}"


def _source(ranked: RankedSource, picture: str) -> str:
    source = ranked.source
    owner = opt_out_of(source.metadata)
    name = source.title or source.uri or source.source_id
    credit = ", ".join(filter(None, (source.creator, source.licence)))
    star = " *" if ranked.attributed else ""
    said = [
        f"{ranked.rank}. {name}{star}",
        credit,
        _MATCHES[ranked.match],
        f"share {ranked.share:.1%}",
        "may not be trained on" if owner is not None and owner.do_not_train else "",
    ]
    return picture + "<br>".join(escape(each) for each in said if each)


def _row(first: str, second: Sequence[str], cells: Sequence[str]) -> str:
    whole = [first, *second, *cells]
    inside = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in whole if cell)
    return f"<tr>{inside}</tr>"


def _picture(image: Image.Image, caption: str) -> str:
    small, written = picture_of(image), io.BytesIO()
    small.save(written, "JPEG", quality=_QUALITY)
    data = base64.b64encode(written.getvalue()).decode("ascii")
    said = escape(caption)
    return (
        f'<img alt="{said}" width="{small.width}" height="{small.height}" '
        f'src="data:image/jpeg;base64,{data}"><br>{said}'
    )
