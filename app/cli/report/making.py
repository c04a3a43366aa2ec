"""Answers about one image and writes the report of it, in one or several forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.answers import Question
from app.cli.asking import open_for_asking
from app.cli.failures import BadInvocation
from app.cli.options import require_folder
from app.reports import PDF, SUFFIXES, Reporter, check_reports
from app.settings import Settings
from attribution.report.wording import Verdict, verdict


def make_report(
    settings: Settings, question: Question, image: Path, outputs: Sequence[Path]
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
    with open_for_asking(settings, question) as asking:
        answered = asking.ask_one(image)
        reporter = Reporter.of(settings, asking.gallery.catalog, asking.vision.encoder)
        maps, _ = asking.explain(answered)
        report = reporter.report(
            answered.attribution,
            answered.query,
            collections=question.collections,
            explanation=maps,
        )
    for path, form in forms.items():
        path.write_bytes(reporter.render(report, form))
    return verdict(report)


def _form(path: Path) -> str:
    for form, suffix in SUFFIXES.items():
        if path.suffix.lower() == suffix:
            return form
    endings = ", ".join(SUFFIXES.values())
    raise BadInvocation(f"--out {path}: a report is written as one of {endings}")
