"""A background in strata: who is drawn for what, whose thumbnail, in which order."""

import numpy as np
import pytest

from attribution.synthesis.background import (
    NoPictures,
    StrataSizes,
    expected,
    made,
    make_background,
    making,
    planned,
)
from models.background import GENERATED, LAUNDERED, PHOTO, thumbnail
from tests.support import forks
from tests.support.pictures import picture


class Colours:
    """Embeds a picture as its mean colour and its size."""

    model_id = "colours"

    def encode(self, images, *, domain):
        assert domain == "query"
        return np.stack(
            [[*np.asarray(image).mean(axis=(0, 1)), *image.size] for image in images]
        ).astype(np.float32)


@pytest.mark.parametrize("sizes", [StrataSizes(3, 4), StrataSizes(8, 8), StrataSizes(0, 0)])
def test_each_stratum_is_drawn_without_replacement(sizes):
    pictures = [picture(seed) for seed in range(8)]
    rows = list(planned(pictures, 8, sizes=sizes, seed=3))
    assert len(rows) == expected(8, sizes)
    for stratum, size in ((PHOTO, 8), (GENERATED, sizes.generated), (LAUNDERED, sizes.laundered)):
        drawn = [id(row.original) for row in rows if row.stratum == stratum]
        assert len(drawn) == len(set(drawn)) == size
    for row in rows:
        assert np.array_equal(row.thumbnail, thumbnail(row.original))


def test_no_picture_is_drawn_for_both_while_there_are_enough():
    rows = list(planned([picture(seed) for seed in range(9)], 9, sizes=StrataSizes(4, 5)))
    generated, laundered = (
        {id(row.original) for row in rows if row.stratum == stratum}
        for stratum in (GENERATED, LAUNDERED)
    )
    assert not generated & laundered


def test_a_smaller_stratum_is_part_of_a_larger_one():
    pictures = [picture(seed) for seed in range(20)]
    few, many = (
        {id(r.original) for r in planned(pictures, 20, sizes=StrataSizes(n, n)) if r.stratum}
        for n in (3, 9)
    )
    assert few < many


def thin(seed):
    """Generated in a quarter of the time: its pixels are fewer at every scale."""
    return picture(seed, (96, 20), (3, 12))


def test_rows_come_stratum_by_stratum_with_the_thumbnails_of_the_originals():
    pictures, counts = [thin(seed) for seed in range(6)], []
    background = make_background(
        Colours(), iter(pictures), 6, sizes=StrataSizes(2, 3), on_picture=counts.append
    )
    assert background.strata.tolist() == [PHOTO] * 6 + [GENERATED] * 2 + [LAUNDERED] * 3
    assert counts == [11]
    assert np.array_equal(background.rows[:6], Colours().encode(pictures, domain="query"))
    originals = [thumbnail(each).tobytes() for each in pictures]
    assert [each.tobytes() for each in background.thumbnails[:6]] == originals
    assert {each.tobytes() for each in background.thumbnails[6:]} <= set(originals)
    assert background.rows[6:8, 3:].max() == 112  # generated at its own size
    again = make_background(Colours(), iter(pictures), 6, sizes=StrataSizes(2, 3))
    assert np.array_equal(again.rows, background.rows)
    other = make_background(Colours(), iter(pictures), 6, sizes=StrataSizes(2, 3), seed=1)
    assert not np.array_equal(other.rows[6:], background.rows[6:])


def test_processes_make_what_is_made_here(monkeypatch):
    # Forked from one that has torch imported, which takes a new one most of its time.
    monkeypatch.setattr("attribution.synthesis.background._START_METHOD", forks.START_METHOD)
    rows = list(planned([thin(seed) for seed in range(3)], 3, sizes=StrataSizes(1, 2)))
    with making(1) as make_all:
        elsewhere = make_all(rows)
    for row, image in zip(rows, elsewhere, strict=True):
        if row.stratum != GENERATED:  # sums of floats may differ with the number of threads
            assert np.array_equal(np.asarray(made(row)), np.asarray(image))
        else:
            assert image.size == made(row).size


def test_nothing_readable_and_bad_sizes_are_refused():
    with pytest.raises(NoPictures, match="could be read"):
        make_background(Colours(), iter([]), 5)
    with pytest.raises(ValueError, match="fewer than 0"):
        StrataSizes(generated=-1)
