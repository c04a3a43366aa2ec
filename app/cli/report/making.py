"""Answers about one image and writes the report of it, in one or several forms."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.asked import Asked
from app.cli.failures import BadInvocation
from app.cli.neighbour import Neighbour
from app.cli.options import require_folder, with_active_encoder
from app.reports import PDF, REPORT_JSON, SUFFIXES, check_reports, render, signed
from app.settings import Settings
from attribution.report.document import Report

if TYPE_CHECKING:  # an extra
    from attribution.report.credentials import CredentialSigner


def make_report(
    settings: Settings,
    asked: Asked,
    image: Path,
    outputs: Sequence[Path],
    neighbour: Neighbour | None,
    copy: SignedCopy | None = None,
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
        copy: a copy of the image to write besides.
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
        import attribution.report.pdf  # noqa: F401 - says which extra is missing
    report = None if neighbour is None else _found_next_door(neighbour, settings, asked, image)
    if report is None:
        report = _found_here(with_active_encoder(settings, named=named), asked, image)
    report = signed(report, settings)
    for path, form in forms.items():
        path.write_bytes(render(report, form, settings.report_font))
    if copy is not None:
        copy.write(image, report)
    return report


@dataclass(frozen=True, slots=True)
class SignedCopy:
    """A copy of the image that is to hold its report, and who signs it."""

    path: Path
    signer: CredentialSigner

    def write(self, image: Path, report: Report) -> None:
        """Write it.

        Raises:
            NotSigned: it cannot be made.
            BadInvocation: the image has changed since it was asked about.
        """
        data = image.read_bytes()
        if hashlib.sha256(data).hexdigest() != report.query.sha256:
            raise BadInvocation(f"{image} has changed meanwhile: run this again")
        self.path.write_bytes(self.signer.signed_copy(data, report.query.format, report))


def signed_copy(path: Path, certificates: Path | None, key: Path | None) -> SignedCopy:
    """The copy that `--c2pa` asks for; what cannot work is found out before the work.

    Raises:
        BadInvocation: the key or its certificates are missing, or the file cannot be written.
        BadKey: they cannot be used.
        ImportError: the extra is not installed.
    """
    if certificates is None or key is None:
        raise BadInvocation(
            "--c2pa signs: give --c2pa-key, and --c2pa-certificates for whose it is"
        )
    require_folder(path, "--c2pa")
    from attribution.report.credentials import CredentialSigner  # an extra

    return SignedCopy(path, CredentialSigner(certificates, key))


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
    from app.cli.asking import open_for_asking, question_of  # torch: seconds
    from app.reports import Reporter

    question = question_of(asked)
    with open_for_asking(settings, question) as asking:
        answered = asking.ask_one(image)
        maps, _ = asking.explain(answered)
        return Reporter.of(settings, asking.gallery.catalog, asking.vision.encoder).report(
            answered.attribution,
            answered.query,
            question,
            explanation=maps,
        )


def _form(path: Path) -> str:
    for form, suffix in SUFFIXES.items():
        if path.suffix.lower() == suffix:
            return form
    endings = ", ".join(SUFFIXES.values())
    raise BadInvocation(f"--out {path}: a report is written as one of {endings}")
