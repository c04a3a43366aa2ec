"""The one way to write a report as bytes: canonical JSON (RFC 8785). Knows no keys.

Two programs in different languages that hold the same report write the same bytes, so that a
signature over them can be checked without the program that made it.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import rfc8785

from attribution.report.document import Report


class NotAReport(ValueError):
    """The bytes are no report: not JSON, not of this type, or ambiguous."""


def report_bytes(report: Report) -> bytes:
    """The report's file: canonical JSON with its signature, where it has one."""
    return canonical(_members(report))


def signed_bytes(report: Report) -> bytes:
    """What a signature is made over: the canonical form of all members but `signature`."""
    members = _members(report)
    members.pop("signature", None)
    return canonical(members)


def canonical(value: Any) -> bytes:
    """Canonical UTF-8 JSON of plain JSON values.

    Raises:
        NotAReport: a number or a text has no canonical form.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotAReport(f"this has no canonical form: {error}") from error


def parse(data: bytes) -> dict[str, Any]:
    """The members of a report's file, refusing what two readers could read differently.

    Raises:
        NotAReport: with the reason.
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except NotAReport:
        raise
    except (ValueError, RecursionError) as error:
        raise NotAReport(f"this is no JSON document: {error}") from error
    if not isinstance(value, dict) or value.get("type") != "attribution-report":
        raise NotAReport('this is no attribution report: it has no "type": "attribution-report"')
    return value


def _members(report: Report) -> dict[str, Any]:
    members = report.model_dump(mode="json")
    if report.signature is None:
        del members["signature"]
    return members


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotAReport("an object names a member twice")
    return members


def _refuse(constant: str) -> NoReturn:
    raise NotAReport(f"{constant} is no JSON number")
