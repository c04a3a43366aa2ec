"""Which scope each endpoint needs; knows no keys.

A path that is not listed here exists for no key: nothing is open by oversight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.routing import compile_path

from attribution.catalog import Scope


@dataclass(frozen=True, slots=True)
class Rule:
    """What an endpoint needs: any one of `scopes`, of which the first is charged for the request.

    Attributes:
        method: HTTP method.
        template: path as the routes spell it.
        scopes: at least one; `admin` holds them all.
        whole: it tells of the whole catalog, so a key limited to collections is refused.
    """

    method: str
    template: str
    scopes: tuple[Scope, ...]
    whole: bool = False


# What tells nothing of the catalog: health, the pages and what they load, kinds of problem, and
# the public key of reports, which whoever was handed one may want to check.
PUBLIC = (
    "/", "/docs", "/docs/assets/{path:path}", "/web/{path:path}", "/openapi.json",
    "/problems/{slug}", "/livez", "/readyz", "/v1/report-key",
)  # fmt: skip

_SEEING: tuple[Scope, ...] = ("query", "curate")
# In the order of the routes: the first that matches holds.
RULES = (
    Rule("POST", "/v1/attributions", ("query",)),
    Rule("POST", "/v1/attributions/batch", ("query",)),
    Rule("POST", "/v1/jobs", ("query",)),
    Rule("GET", "/v1/jobs", ("query",)),
    Rule("GET", "/v1/jobs/{job_id}/results", ("query",)),
    Rule("POST", "/v1/jobs/{job_id}/cancel", ("query",)),
    Rule("GET", "/v1/jobs/{job_id}", ("query",)),
    Rule("DELETE", "/v1/jobs/{job_id}", ("query",)),
    Rule("POST", "/v1/sources/batch", ("curate",)),
    Rule("POST", "/v1/sources/delete", ("curate",)),
    Rule("GET", "/v1/sources/export", ("curate",)),
    Rule("POST", "/v1/sources", ("curate",)),
    Rule("GET", "/v1/sources", ("curate",)),
    Rule("GET", "/v1/sources/{source_id}/thumbnail", _SEEING),
    Rule("GET", "/v1/sources/{source_id}/iscc", _SEEING),
    Rule("GET", "/v1/sources/{source_id}", _SEEING),
    Rule("PATCH", "/v1/sources/{source_id}", ("curate",)),
    Rule("DELETE", "/v1/sources/{source_id}", ("curate",)),
    Rule("GET", "/v1/collections", _SEEING),
    Rule("GET", "/v1/collections/{name}", _SEEING),
    Rule("PUT", "/v1/collections/{name}", ("curate",)),
    Rule("DELETE", "/v1/collections/{name}", ("curate",)),
    Rule("GET", "/v1/index", _SEEING),
    Rule("POST", "/v1/index/snapshot", ("admin",)),
    Rule("GET", "/metrics", ("query", "curate"), whole=True),
)


def _pattern(template: str) -> re.Pattern[str]:
    # The router's own way of reading templates, so that the two cannot disagree about a path.
    return compile_path(template)[0]


_PUBLIC = tuple(_pattern(template) for template in PUBLIC)
_RULES = tuple((rule, _pattern(rule.template)) for rule in RULES)


def is_public(path: str) -> bool:
    """Whether anybody may ask for this path, however little they are trusted."""
    return any(pattern.match(path) for pattern in _PUBLIC)


def rule_of(method: str, path: str) -> Rule | None:
    """The rule of an endpoint; None where no rule covers it, which is to say that there is none."""
    for rule, pattern in _RULES:
        if rule.method == method and pattern.match(path):
            return rule
    return None


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that rules know for a path, HEAD with GET; none where there is no such path."""
    known = {rule.method for rule, pattern in _RULES if pattern.match(path)}
    return tuple(sorted(known | ({"HEAD"} if "GET" in known else set())))
