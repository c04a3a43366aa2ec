"""Makes the report of an answer: fetches its pictures, signs and renders it. Knows no request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import Settings
from app.version import service_version
from attribution.answer import Attribution
from attribution.catalog import Catalog, PreviewMissing, SourceNotFound
from attribution.explanation import Explanation
from attribution.report.canonical import report_bytes
from attribution.report.composing import Circumstances, compose
from attribution.report.document import Picture, Report, ReportedQuery
from attribution.report.html import render_html
from attribution.report.maps import reported_maps
from attribution.report.thumbnails import thumbnail_of, thumbnail_of_preview
from models.images.decoding import DecodedImage
from models.images.notes import HOW_TURNED, Turn

if TYPE_CHECKING:
    from attribution.attributor import Terms
    from attribution.report.signing import PublicKey, SigningKey
    from models.encoder import Encoder  # torch, which reading and writing a report does not need

REPORT_JSON = "application/vnd.attribution.report+json"
HTML = "text/html"
PDF = "application/pdf"
_UNLIKE = (
    "It is unlike the background images that p-values rest on: for an image of its kind they may "
    "not hold."
)
_ANY_WAY_UP = (
    "It was looked at in all four ways up, as was asked; p-values are those of all looks together."
)
SUFFIXES = {REPORT_JSON: ".json", HTML: ".html", PDF: ".pdf"}


def _turned(degrees: Turn) -> str:
    return f"What was found is of the image set upright: it is turned {HOW_TURNED[degrees]}."


def pdf_available() -> bool:
    """Whether the extra `report` is installed."""
    return find_spec("fpdf") is not None and find_spec("uharfbuzz") is not None


@dataclass(frozen=True, slots=True, eq=False)
class Reporter:
    """Makes reports of the answers from one catalog and one encoder. Safe in several threads."""

    catalog: Catalog
    encoder: str
    signing_key: SigningKey | None
    font: Path | None

    @classmethod
    def of(cls, settings: Settings, catalog: Catalog, encoder: Encoder) -> Reporter:
        """The reporter that these settings ask for.

        Raises:
            BadKey: the signing key cannot be used.
            ImportError: there is one, but the extra `report` is not installed.
        """
        return cls(catalog, encoder.card.name, signing_key_of(settings), settings.report_font)

    @property
    def public_key(self) -> PublicKey | None:
        """What the signatures of these reports are checked with; None where there are none."""
        return None if self.signing_key is None else self.signing_key.public

    def report(
        self,
        attribution: Attribution,
        query: DecodedImage,
        terms: Terms,
        *,
        request_id: str | None = None,
        explanation: Explanation | None = None,
    ) -> Report:
        """The report of an answer, not signed yet; reads previews from the disk."""
        ids = [ranked.source.source_id for ranked in attribution.sources]
        return compose(
            attribution,
            ReportedQuery(
                sha256=query.sha256,
                width=query.width,
                height=query.height,
                format=query.format,
                thumbnail=thumbnail_of(query.image),
                notes=(
                    *(note.detail for note in query.notes),
                    *([_UNLIKE] if attribution.unlike_background else []),
                    *([_ANY_WAY_UP] if terms.any_way_up else []),
                    *([_turned(attribution.turned)] if attribution.turned else []),
                ),
            ),
            Circumstances(
                created_at=datetime.now(UTC),
                collections=terms.collections,
                encoder=self.encoder,
                version=service_version(),
                request_id=request_id,
                no_source=terms.no_source,
            ),
            replace(reported_maps(explanation), thumbnails=self._thumbnails(ids)),
        )

    def sign(self, report: Report) -> Report:
        """The report with a signature, where there is a key."""
        return report if self.signing_key is None else self.signing_key.sign(report)

    def render(self, report: Report, media_type: str) -> bytes:
        """See `render`."""
        return render(report, media_type, self.font)

    def _thumbnails(self, source_ids: Iterable[str]) -> dict[str, Picture]:
        """Small pictures of the sources; one that has gone meanwhile has none."""
        found = {}
        for source_id in source_ids:
            try:
                preview = self.catalog.preview(source_id)
            except (PreviewMissing, SourceNotFound):
                continue
            found[source_id] = thumbnail_of_preview(preview)
        return found


def render(report: Report, media_type: str, font: Path | None) -> bytes:
    """The report as one of `SUFFIXES`.

    Raises:
        ImportError: PDF without the extra `report`.
        BadFont: the font is none.
    """
    if media_type == HTML:
        return render_html(report)
    if media_type == REPORT_JSON:
        return report_bytes(report)
    from attribution.report.pdf import render_pdf  # noqa: PLC0415  # needs the extra

    return render_pdf(report, font=font)


def signed(report: Report, settings: Settings) -> Report:
    """The report with the signature of the settings' key, if they name one.

    Raises:
        BadKey, ImportError: see `signing_key_of`.
    """
    key = signing_key_of(settings)
    return report if key is None else key.sign(report)


def check_reports(settings: Settings) -> None:
    """Find out before anything starts whether reports can be made as the settings say.

    Raises:
        BadKey: the signing key cannot be used.
        BadFont: the font cannot be used.
        ImportError: one of them is set, but the extra `report` is not installed.
    """
    signing_key_of(settings)
    if settings.report_font is not None:
        from attribution.report.pdf import check_font  # noqa: PLC0415  # needs the extra

        check_font(settings.report_font)


def signing_key_of(settings: Settings) -> SigningKey | None:
    """The key that the settings name.

    Raises:
        BadKey: it cannot be used.
        ImportError: there is one, but the extra `report` is not installed.
    """
    if settings.signing_key is None:
        return None
    from attribution.report.signing import load_key  # noqa: PLC0415  # needs the extra

    return load_key(settings.signing_key)
