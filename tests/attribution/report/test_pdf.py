"""The PDF: its text can be read out, its JSON taken out, and no title breaks it."""

import io
import logging
import re

import pypdf
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution.report.canonical import report_bytes
from attribution.report.document import Report
from attribution.report.lettering import BadFont
from attribution.report.pdf import check_font, render_pdf
from tests.support.answers import attribution, report_of


def read(data: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(data))


def text_of(data: bytes) -> str:
    """All text with single spaces and no footers: where lines and pages end is layout."""
    text = " ".join(page.extract_text() for page in read(data).pages)
    return " ".join(re.sub(r"Attribution report \w+, \S+Z, page \d+", "", text).split())


def test_the_text_holds_every_figure(report, key):
    text = text_of(render_pdf(key.sign(report)))
    for figure in (
        "Attributed",
        "p = 0.000192",
        "alpha = 0.01",
        "1. Lighthouse at dusk",
        "A. Photographer",
        "CC-BY-4.0",
        "Share: 45.0 %",
        "Other sources held 10.0 %",
        "Sources not held less than 0.1 %",
        "7d4f4467ec6d2f3a",
        "15a7dd4ff4a9 (fresh)",
        "2026-05-04 12:34:56 UTC",
        report.query.sha256,
        report.sources[1].sha256,
        key.public.base64,
        *report.statement,
    ):
        assert figure in text


@pytest.mark.parametrize("decision", ["attributed", "no_source_found", None])
def test_the_same_report_gives_the_same_bytes_also_after_reading_it_back(decision, key):
    report = key.sign(report_of(attribution(decision), maps=True))
    again = Report.model_validate_json(report_bytes(report))
    assert render_pdf(again) == render_pdf(report)


def test_the_json_form_is_attached(report, key):
    signed = key.sign(report)
    document = read(render_pdf(signed))
    assert document.attachments["attribution-9f86d0819f86.json"] == [report_bytes(signed)]
    assert document.metadata.title == "Attribution report: Attributed"
    assert document.metadata.creation_date.isoformat() == "2026-05-04T12:34:56+00:00"


def test_maps_are_drawn_over_the_pictures_they_belong_to():
    plain = read(render_pdf(report_of(attribution())))
    mapped = read(render_pdf(report_of(attribution(), maps=True)))
    pictures = [sum(len(page.images) for page in document.pages) for document in (plain, mapped)]
    assert pictures[0] == 3
    # The region map and two heat maps; the thumbnails below them are stored once.
    assert pictures[1] == 3 + 3
    assert "Where the image resembles source 1" in text_of(
        render_pdf(report_of(attribution(), maps=True))
    )


def test_scripts_that_the_font_has_are_written_and_others_are_spelt_out(caplog):
    title = "Ελληνικά Русский Żółw"
    with caplog.at_level(logging.WARNING):
        text = text_of(
            render_pdf(report_of(attribution(title=title, creator="東京 \u202egnp.exe")))
        )
    assert title in text
    assert "⟨U+6771⟩⟨U+4EAC⟩ ⟨U+202E⟩gnp.exe" in text
    assert not caplog.records


def test_a_font_of_the_operator_s_is_used_for_what_is_missing(tmp_path):
    # A font of one letter, made here: the character it has is then no longer spelt out.
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 0))
    pen.lineTo((500, 700))
    pen.closePath()
    glyph = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "east"])
    builder.setupCharacterMap({0x6771: "east"})
    builder.setupGlyf({".notdef": glyph, "east": glyph})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "east": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "East", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "east.ttf")
    report = report_of(attribution(title="東京"))
    assert "1. 東⟨U+4EAC⟩" in text_of(render_pdf(report, font=tmp_path / "east.ttf"))


def test_a_file_that_is_no_font_is_refused(tmp_path):
    (tmp_path / "no.ttf").write_bytes(b"no font at all")
    for path in (tmp_path / "no.ttf", tmp_path / "missing.ttf"):
        with pytest.raises(BadFont, match="cannot be used as a font"):
            check_font(path)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_no_text_breaks_it(text):
    words = dict.fromkeys(("title", "creator", "licence", "uri"), text)
    assert len(read(render_pdf(report_of(attribution(count=1, **words)))).pages) >= 2


def test_long_texts_and_many_sources_run_over_pages(key):
    words = {"title": "Very long title " * 30, "uri": "x" * 2048}
    document = read(render_pdf(key.sign(report_of(attribution(count=5, **words)))))
    text = " ".join(page.extract_text() for page in document.pages)
    assert len(document.pages) > 4
    assert "5. Very long title" in text
    assert f"page {len(document.pages)}" in text
