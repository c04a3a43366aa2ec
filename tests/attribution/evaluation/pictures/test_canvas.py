"""Text that fits where it is written."""

from attribution.evaluation.pictures.canvas import shortened, text_width


def test_long_captions_are_cut_off():
    assert shortened("short", 13, 100) == "short"
    cut = shortened("a caption that is much too long", 13, 100)
    assert cut.endswith("…")
    assert text_width(cut, 13) <= 100
