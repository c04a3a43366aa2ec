"""Canonical JSON: the examples of RFC 8785 itself, and refusals of what is ambiguous."""

import json

import pytest

from attribution.report.canonical import NotAReport, canonical, parse, report_bytes, signed_bytes
from attribution.report.document import Report


def test_the_example_of_rfc_8785_section_3_2_2():
    text = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(json.loads(text)) == expected.encode()


def test_members_sort_by_utf_16_units_as_in_section_3_2_3():
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = canonical(dict.fromkeys(names, 0)).decode()
    order = list(json.loads(written))
    assert order == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (295147905179352830000, "295147905179352830000"),
        (9007199254740991, "9007199254740991"),
        (1 / 5201, "0.00019227071716977504"),
    ],
)
def test_numbers_are_written_as_in_appendix_b(number, written):
    assert canonical(float(number)) == written.encode()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, "\ud800", {"\ud800": 1}, {"\udfff": 1, "a": 2}]
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(NotAReport, match="no canonical form"):
        canonical([value])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xfe", "no JSON document"),
        (b'{"type": "attribution-report"', "no JSON document"),
        (b"[" * 100_000, "no JSON document"),
        (b'{"type": "attribution-report", "p_value": NaN}', "NaN is no JSON number"),
        (b'{"type": "attribution-report", "a": 1, "a": 2}', "names a member twice"),
        (b'{"type": "invoice"}', "no attribution report"),
        (b'["attribution-report"]', "no attribution report"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data, why):
    with pytest.raises(NotAReport, match=why):
        parse(data)


def test_a_report_survives_its_own_bytes(report, key):
    for kept in (report, key.sign(report)):
        data = report_bytes(kept)
        assert Report.model_validate_json(data) == kept
        assert canonical(parse(data)) == data


def test_the_signature_is_not_part_of_what_is_signed(report, key):
    assert signed_bytes(key.sign(report)) == signed_bytes(report) == report_bytes(report)
    assert "signature" not in json.loads(report_bytes(report))
