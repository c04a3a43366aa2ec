"""The figures of a report as people read them: the same words in HTML and in PDF."""

from __future__ import annotations

from dataclasses import dataclass

from attribution.report.document import Report, ReportedSource

TITLE = "Attribution report"
UNSIGNED = "This report is not signed."
_GUARANTEE = {
    "average": "on average over draws of the background",
    "background": "for this background, with 95 % confidence",
}
_MATCH = {
    "identical": "the image is this very file",
    "copy": "the image shows this very picture, in another file",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure or a text with its name."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision: a headline, and the comparison it rests on."""

    headline: str
    reason: str


def verdict(report: Report) -> Verdict:
    """The decision in words."""
    if not report.sources:
        return Verdict("Nothing to compare with", "No source is held in what was searched.")
    if report.decision is None or report.p_value is None:
        state = report.calibration.state
        return Verdict("Nothing decided", f"Calibration is {state}, so there is no p-value.")
    p, alpha = against(report.p_value, report.alpha), probability(report.alpha)
    if report.decision == "attributed":
        return Verdict("Attributed", f"p = {p}, which is at most alpha = {alpha}.")
    return Verdict("No source found", f"p = {p}, which is above alpha = {alpha}.")


def query_facts(report: Report) -> list[Fact]:
    """Which image was asked about."""
    query = report.query
    return [
        Fact("SHA-256", query.sha256),
        Fact("Size", f"{query.width} x {query.height} pixels"),
        Fact("Format", query.format.upper()),
        *(Fact("Note", note) for note in query.notes),
    ]


def circumstance_facts(report: Report) -> list[Fact]:
    """When and with what the answer was found."""
    collections = report.searched.collections
    return [
        Fact("Made at", report.created_at.replace("T", " ").replace("Z", " UTC")),
        Fact("Searched", "all collections" if collections is None else ", ".join(collections)),
        Fact("Index generation", str(report.searched.index_generation)),
        Fact("Encoder", f"{report.method.encoder}, model_id {report.method.model_id}"),
        Fact("Calibration", f"{report.calibration.id or 'none'} ({report.calibration.state})"),
        Fact("Alpha", probability(report.alpha)),
        Fact("Guarantee", _GUARANTEE[report.guarantee]),
        Fact("Service", f"{report.service.name} {report.service.version}"),
        *([Fact("Request", report.request_id)] if report.request_id else []),
    ]


def source_name(source: ReportedSource) -> str:
    """What to call a source in a heading."""
    return source.title or source.uri or source.source_id


def source_figures(source: ReportedSource) -> list[Fact]:
    """The numbers of one ranked source."""
    p_value = "none" if source.p_value is None else probability(source.p_value)
    return [
        Fact("Attributed", "yes" if source.attributed else "no"),
        *([Fact("The picture itself", _MATCH[source.match])] if source.match else []),
        Fact("p-value", p_value),
        Fact("Share", percentage(source.share)),
        Fact("Score", f"{source.score:.2f}"),
    ]


def source_facts(source: ReportedSource) -> list[Fact]:
    """What is known of one ranked source; what is not known is left out."""
    known = [
        ("Creator", source.creator),
        ("Licence", source.licence),
        ("URI", source.uri),
        ("Collection", source.collection),
        ("Source", source.source_id),
        ("SHA-256", source.sha256),
        ("The same picture", ", ".join(source.copies)),
    ]
    return [Fact(label, value) for label, value in known if value]


def remaining_shares(report: Report) -> list[Fact]:
    """The shares that belong to no source listed."""
    return [
        Fact("Other sources held", percentage(report.other_share)),
        Fact("Sources not held", percentage(report.unattributed_share)),
    ]


def signature_facts(report: Report) -> list[Fact]:
    """Who vouches for the JSON form; none where nobody does."""
    signature = report.signature
    if signature is None:
        return []
    return [
        Fact("Algorithm", signature.algorithm),
        Fact("Key", signature.key_id),
        Fact("Public key", signature.public_key),
        Fact("Signature", signature.value),
    ]


def how_to_verify(report: Report) -> str:
    """What the signature covers, and how to check it."""
    if report.signature is None:
        return UNSIGNED
    return (
        f"The signature is that of the JSON form, attached as {report.filename}.json; these pages "
        "show the same content but are not signed themselves. Check it with: attribution report "
        "verify FILE --public-key KEY, taking the key from its owner and not from this report."
    )


def probability(value: float, digits: int = 3) -> str:
    """Three significant digits or more, without an exponent: 0.000193."""
    if value == 0 or value >= 0.9995:
        return f"{value:g}"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.{_decimals(value, digits)}f}"


def against(p_value: float, alpha: float, digits: int = 3) -> str:
    """A p-value with as many digits more as show on which side of alpha it lies."""
    texts = (probability(p_value, each) for each in range(digits, 18))
    return next(text for text in texts if (float(text) <= alpha) == (p_value <= alpha))


def percentage(share: float) -> str:
    """One decimal; a small share is not rounded to nothing, nor a large one to all."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    return f"{share:.1%}".replace("%", " %")


def _decimals(value: float, digits: int) -> int:
    """Decimals that show so many significant digits of a small number."""
    exponent = int(f"{value:e}".partition("e")[2])
    return digits - 1 - exponent
