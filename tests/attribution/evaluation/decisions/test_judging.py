"""One answer beside what is true."""

import pytest

from attribution.answer import Attribution, CalibrationState, RankedSource
from attribution.evaluation.decisions.decisions import judge
from tests.support.answers import source


def answer(*p_values, copies=()):
    """Sources 1, 2, ... by rank; the first one shows some others too."""
    return Attribution(
        model_id="m", index_generation=1, decision="attributed", p_value=p_values[0], alpha=0.1,
        calibration=CalibrationState("c", "fresh"),
        sources=tuple(
            RankedSource(rank, source(rank), 1.0, p_value, 0.01, p_value <= 0.1,
                         copies=copies if rank == 1 else ())
            for rank, p_value in enumerate(p_values, start=1)
        ),
        other_share=0.0, unattributed_share=0.1,
    )  # fmt: skip


def test_names_are_those_of_the_first_ten():
    far = judge(answer(0.01, *[0.5] * 29, 0.001), {source(1).sha256})
    assert (far.wrong_p_value, far.named_p_value) == (0.5, 0.01)
    assert judge(answer(*[0.5] * 10, 0.01), {source(11).sha256}).named_p_value == 1.0
    assert judge(answer(*[0.5] * 10, 0.01), {source(11).sha256}).place == 11


@pytest.mark.parametrize(("copies", "credit"), [((), 0.5), ((source(2),), 1.0)])
def test_a_picture_that_shows_both_sources_has_the_credit_of_both(copies, credit):
    truths = {source(1).sha256, source(2).sha256}
    assert judge(answer(0.01, 0.5, copies=copies), truths).credit == credit
