"""What metadata say about training: by PLUS terms however they are written, or in words."""

import pytest

from attribution.opt_out import OptOut, opt_out_of


@pytest.mark.parametrize(
    ("term", "forbidden"),
    [
        ("DMI-PROHIBITED", True),
        ("http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING", True),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", True),
        ("Prohibited for AI/ML training", True),
        ("dmi-allowed", False),
        ("https://ns.useplus.org/ldf/vocab/DMI-UNSPECIFIED", False),
        ("see our terms", None),
        (" ", None),
    ],
)
def test_terms_however_they_are_written(term, forbidden):
    wanted = None if forbidden is None else OptOut(forbidden, term)
    assert opt_out_of({"data_mining": term}) == wanted
    assert opt_out_of({"embedded": {"data_mining": term}}) == wanted


@pytest.mark.parametrize(
    ("said", "forbidden"), [("Yes", True), ("0", False), (True, True), (1, None), ("perhaps", None)]
)
def test_a_spreadsheet_says_it_in_words(said, forbidden):
    wanted = None if forbidden is None else OptOut(forbidden, None)
    assert opt_out_of({"do_not_train": said}) == wanted
    both = opt_out_of({"do_not_train": said, "embedded": {"do_not_train": True}})
    assert both == (wanted or OptOut(True, None)), "what is not understood says nothing"
