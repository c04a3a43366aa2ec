"""Accept headers (RFC 9110, section 12.5.1): which of several forms a caller gets."""

import pytest

from app.reports import HTML, PDF, REPORT_JSON
from app.requests.negotiation import acceptable, accepts
from app.routes.report_forms import OFFERED

JSON = "application/json"


@pytest.mark.parametrize(
    ("header", "best"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        ("application/json, text/plain, */*", JSON),
        (PDF, PDF),
        ("Application/PDF", PDF),
        (REPORT_JSON, REPORT_JSON),
        ("text/html", HTML),
        ("text/*", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("application/pdf, */*", PDF),
        ("application/pdf, */*;q=0.1", PDF),
        ("application/pdf;q=0.5, text/html;q=0.7", HTML),
        ("application/pdf;q=0.5, application/json;q=0.4", PDF),
        ("application/pdf;q=0, application/*;q=0.2", JSON),
        ("text/html, application/pdf", HTML),
        ("text/html;q=0, */*;q=0.3, application/json;q=0", REPORT_JSON),
        ("image/png", None),
        ("application/pdf;q=0", None),
        ("application/pdf;q=nan", None),
        ("application/pdf;q=x", None),
        ("", None),
    ],
)
def test_the_best_form_that_is_accepted(header, best):
    assert next(iter(acceptable(header, OFFERED)), None) == best


def test_the_rest_follows_in_order():
    header = "application/pdf, text/html;q=0.5, application/json;q=0.7"
    assert acceptable(header, OFFERED) == [PDF, JSON, HTML]


def test_accepts_is_the_same_question_about_one_form():
    assert accepts("text/*;q=0.1", "text/html")
    assert not accepts("text/*;q=0.1, text/html;q=0", "text/html")
