"""Answers about one image and writes the report of it, in one or several forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.cli.explained import explained
from app.cli.failures import BadInvocation
from app.cli.options import require_folder
from app.encoders.gallery import decoding_limits, load_vision, open_gallery
from app.reports import PDF, SUFFIXES, Reporter, check_reports
from app.settings import Settings
from attribution.report.wording import Verdict, verdict
from models.images.decoding import DecodedImage, DecodingLimits, ImageTooLarge, decode


def make_report(
    settings: Settings,
    image: Path,
    outputs: Sequence[Path],
    *,
    top_k: int,
    collections: frozenset[str] | None,
    alpha: float,
) -> Verdict:
    """Ask about an image and write the report; what cannot work is found out before the work.

    Raises:
        BadInvocation: a file to write has another ending than .json, .html and .pdf.
        ImageError: the file is not an image within the limits.
        ImportError: PDF or a signature without the extra `report`.
    """
    forms = {path: _form(path) for path in outputs}
    for path in outputs:
        require_folder(path)
    check_reports(settings)
    if PDF in forms.values():
        import attribution.report.pdf  # noqa: F401, PLC0415  # says which extra is missing
    decoded = _read(image, decoding_limits(settings))
    vision = load_vision(settings)
    with open_gallery(settings, vision) as gallery:
        gallery.prepare(sorted(collections or ()))
        [answer] = gallery.attributor.attribute(
            vision.encoder.encode([decoded.image], domain="query"),
            top_k=top_k,
            collections=collections,
            alpha=alpha,
        )
        reporter = Reporter.of(settings, gallery.catalog, vision.encoder)
        maps, _ = explained(gallery.catalog, vision.encoder, decoded.image, answer)
        report = reporter.report(answer, decoded, collections=collections, explanation=maps)
    for path, form in forms.items():
        path.write_bytes(reporter.render(report, form))
    return verdict(report)


def _form(path: Path) -> str:
    for form, suffix in SUFFIXES.items():
        if path.suffix.lower() == suffix:
            return form
    endings = ", ".join(SUFFIXES.values())
    raise BadInvocation(f"--out {path}: a report is written as one of {endings}")


def _read(path: Path, limits: DecodingLimits) -> DecodedImage:
    if path.stat().st_size > limits.max_bytes:
        raise ImageTooLarge(f"the file is larger than {limits.max_bytes} bytes")
    return decode(path.read_bytes(), limits=limits)
