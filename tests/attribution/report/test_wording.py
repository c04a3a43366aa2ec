"""Words and figures: the promise as it is, and numbers that do not round to a lie."""

from dataclasses import replace

import pytest

from attribution.report import wording
from tests.support.answers import attribution, report_of

PROMISE = (
    "among queries exchangeable with the background, the rate of false attribution is at most "
    "alpha on average over background draws"
)


@pytest.mark.parametrize("decision", ["attributed", "no_source_found"])
def test_a_decision_comes_with_its_promise_and_with_what_is_not_promised(decision):
    text = " ".join(report_of(attribution(decision)).statement)
    assert PROMISE in text
    assert "not promised" in text
    assert "not the probability that the attribution is wrong" in text
    assert "Similarity is not proof of training" in text


def test_the_promise_is_the_one_that_was_asked_for():
    report = report_of(replace(attribution("attributed"), guarantee="background"))
    text = " ".join(report.statement)
    assert "with 95 % confidence over draws of the background images" in text
    assert PROMISE not in text
    said = [fact.value for fact in wording.circumstance_facts(report) if fact.label == "Guarantee"]
    assert said == ["for this background, with 95 % confidence"]


def test_without_a_decision_nothing_is_promised():
    report = report_of(attribution(None))
    text = " ".join(report.statement)
    assert "promised" not in text
    assert "Nothing was decided" in text
    assert "Similarity is not proof of training" in text
    assert wording.verdict(report).reason == "Calibration is missing, so there is no p-value."


def test_verdicts_compare_p_with_alpha():
    found = wording.verdict(report_of(attribution("attributed")))
    assert (found.headline, found.reason) == (
        "Attributed",
        "p = 0.000192, which is at most alpha = 0.01.",
    )
    refused = wording.verdict(report_of(attribution("no_source_found")))
    assert refused.headline == "No source found"
    assert "above alpha" in refused.reason


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(0.009996, "0.01"), (0.01, "0.01"), (0.010003, "0.010003"), (1e-9, "0.00000000100")],
)
def test_a_p_value_is_seen_on_its_side_of_alpha(p_value, text):
    assert wording.against(p_value, 0.01) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.05, "0.05"),
        (0.5276, "0.528"),
        (1 / 5201, "0.000192"),
        (1 / 52_001, "0.0000192"),
        (1.5e-9, "0.00000000150"),
        (0.99976, "0.99976"),
    ],
)
def test_probabilities_have_three_digits_and_no_exponent(value, text):
    assert wording.probability(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0 %"),
        (0.0004, "less than 0.1 %"),
        (0.0005, "0.1 %"),
        (0.314, "31.4 %"),
        (0.99951, "more than 99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_shares_are_not_rounded_to_nothing_or_to_all(share, text):
    assert wording.percentage(share) == text


def test_what_was_decided_about_the_query_is_among_its_facts():
    report = report_of(attribution())
    assert "Note" not in {fact.label for fact in wording.query_facts(report)}
    noted = report.query.model_copy(update={"notes": ("It is shown on black.", "Frame 3.")})
    facts = wording.query_facts(report.model_copy(update={"query": noted}))
    assert tuple(fact.value for fact in facts if fact.label == "Note") == noted.notes


def test_what_is_not_known_of_a_source_is_left_out():
    report = report_of(attribution(title=None, uri=None, creator=None, licence=None))
    [first, _] = report.sources
    labels = [fact.label for fact in wording.source_facts(first)]
    assert labels == ["Collection", "Source", "SHA-256"]
    assert wording.source_name(first) == first.source_id
