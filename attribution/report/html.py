"""A report as one HTML page: nothing to load, nothing to execute, fit to print.

Titles, creators and addresses are other people's text. The template escapes all of it, and the
page's own policy lets a browser show inline pictures and the page's own style, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from attribution.report import wording
from attribution.report.canonical import report_bytes
from attribution.report.document import Report

_TEMPLATES = files("attribution.report") / "templates"
_STYLE = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_POLICY = (
    f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; "
    "form-action 'none'"
)
CONTENT_SECURITY_POLICY = f"{_POLICY}; frame-ancestors 'none'; sandbox allow-downloads"
"""The header to serve the page with; what a page may say of itself is in it as well."""


def render_html(report: Report) -> bytes:
    """The page, with the JSON form inside as a download; the same bytes for the same report."""
    attachment = report_bytes(report)
    page = _template().render(
        report=report,
        wording=wording,
        policy=_POLICY,
        style=_STYLE,
        attachment=base64.b64encode(attachment).decode(),
        digest=hashlib.sha256(attachment).hexdigest(),
    )
    return page.encode()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (_TEMPLATES / "report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(text)
