"""Answers about one image and writes the report of it, in one or several forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.cli.failures import BadInvocation
from app.cli.neighbour import Asked, Neighbour
from app.cli.options import require_folder, with_active_encoder
from app.reports import PDF, REPORT_JSON, SUFFIXES, check_reports, render, signed
from app.settings import Settings
from attribution.report.document import Report


def make_report(
    settings: Settings,
    asked: Asked,
    image: Path,
    outputs: Sequence[Path],
    neighbour: Neighbour | None,
    *,
    named: bool,
) -> Report:
    """Ask about an image and write the report; what cannot work is found out before the work.

    Args:
        settings: of this process, whose key signs.
        asked: the question.
        image: the file.
        outputs: files to write.
        neighbour: a service to ask.
        named: the command line names the encoder.

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
    report = None if neighbour is None else _found_next_door(neighbour, settings, asked, image)
    if report is None:
        report = _found_here(with_active_encoder(settings, named=named), asked, image)
    report = signed(report, settings)
    for path, form in forms.items():
        path.write_bytes(render(report, form, settings.report_font))
    return report


def _found_next_door(
    neighbour: Neighbour, settings: Settings, asked: Asked, image: Path
) -> Report | None:
    """What a service reports, as if this process had: no request's, and signed by nobody yet."""
    report = neighbour.attribute(
        image, asked, Report, settings.max_image_bytes, accept=REPORT_JSON, explain=True
    )
    if report is None:
        return None
    return report.model_copy(update={"request_id": None, "signature": None})


def _found_here(settings: Settings, asked: Asked, image: Path) -> Report:
    from app.cli.asking import open_for_asking, question_of  # noqa: PLC0415  # torch: seconds
    from app.reports import Reporter  # noqa: PLC0415

    question = question_of(asked)
    with open_for_asking(settings, question) as asking:
        answered = asking.ask_one(image)
        maps, _ = asking.explain(answered)
        return Reporter.of(settings, asking.gallery.catalog, asking.vision.encoder).report(
            answered.attribution,
            answered.query,
            collections=question.collections,
            explanation=maps,
        )


def _form(path: Path) -> str:
    for form, suffix in SUFFIXES.items():
        if path.suffix.lower() == suffix:
            return form
    endings = ", ".join(SUFFIXES.values())
    raise BadInvocation(f"--out {path}: a report is written as one of {endings}")
