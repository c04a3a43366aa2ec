"""The page: self-contained, inert whatever a title says, and the same for the same report."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.report.canonical import report_bytes
from attribution.report.document import Report
from attribution.report.html import CONTENT_SECURITY_POLICY, render_html
from tests.support.answers import attribution, report_of

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "javascript:alert(1)",
    "' onmouseover='alert(1)",
    "<!--",
    "]]>",
]


class Page(HTMLParser):
    """What a browser would make of a page: its elements and its text."""

    def __init__(self, data: bytes):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def skeleton(page):
    """The elements and the names of their attributes."""
    return [(tag, sorted(attributes)) for tag, attributes in page.elements]


def test_the_page_shows_every_figure(report, key):
    text = Page(render_html(key.sign(report))).text
    for figure in (
        "Attributed",
        "p = 0.000192",
        "alpha = 0.01",
        "Lighthouse at dusk",
        "A. Photographer",
        "CC-BY-4.0",
        "45.0 %",
        "10.0 %",
        "less than 0.1 %",
        "7d4f4467ec6d2f3a",
        "15a7dd4ff4a9 (fresh)",
        "2026-05-04 12:34:56 UTC",
        report.query.sha256,
        report.sources[1].sha256,
        key.public.base64,
        *report.statement,
    ):
        assert figure in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text):
    plain = Page(render_html(report_of(attribution())))
    words = dict.fromkeys(("title", "creator", "licence", "uri"), text)
    page = Page(render_html(report_of(attribution(**words))))
    assert skeleton(page) == skeleton(plain)
    assert page.text.count(text) >= 4


@pytest.fixture(scope="module")
def plain_page() -> Page:
    return Page(render_html(report_of(attribution(count=1))))


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=40))
def test_no_text_adds_an_element(plain_page, text):
    words = dict.fromkeys(("title", "creator", "licence", "uri"), text)
    page = Page(render_html(report_of(attribution(count=1, **words))))
    assert skeleton(page) == skeleton(plain_page)


def test_nothing_is_loaded_and_nothing_runs():
    page = Page(render_html(report_of(attribution(), maps=True)))
    assert not page.named("script")
    assert not page.named("link")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")


def test_the_policy_allows_the_page_s_own_style_and_no_other():
    data = render_html(report_of(attribution()))
    [style] = re.findall(rb"<style>(.*?)</style>", data, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    for policy in (
        CONTENT_SECURITY_POLICY,
        Page(data).named("meta")[1]["content"],
    ):
        assert f"style-src 'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy


def test_pictures_have_words_and_the_page_a_language():
    page = Page(render_html(report_of(attribution(), maps=True)))
    assert page.named("html") == [{"lang": "en"}]
    assert all("alt" in attributes for attributes in page.named("img"))
    texts = [attributes["alt"] for attributes in page.named("img")]
    for text in (
        "Source 1",
        "Where the image resembles source 1",
        "Where source 1 resembles the image",
        "Regions of the image",
    ):
        assert text in texts
    headings = [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[:2] == ["h1", "h2"]
    assert headings.count("h1") == 1


def test_the_json_form_is_inside(report, key):
    signed = key.sign(report)
    [link] = Page(render_html(signed)).named("a")
    assert link["download"] == "attribution-9f86d0819f86.json"
    assert base64.b64decode(link["href"].partition(",")[2]) == report_bytes(signed)


@pytest.mark.parametrize("decision", ["attributed", "no_source_found", None])
def test_the_same_report_gives_the_same_page_also_after_reading_it_back(decision, key):
    report = key.sign(report_of(attribution(decision), maps=True))
    again = Report.model_validate_json(report_bytes(report))
    assert render_html(again) == render_html(report)


def test_an_unsigned_report_without_pictures_or_sources_is_a_page_too(report):
    bare = report.model_copy(
        update={"sources": (), "query": report.query.model_copy(update={"thumbnail": None})}
    )
    text = Page(render_html(bare)).text
    assert "This report is not signed." in text
    assert "no source is held there" in text
