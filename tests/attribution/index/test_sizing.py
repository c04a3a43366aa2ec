import pytest

from attribution.index.sizing import Sizing, factory


@pytest.mark.parametrize(
    ("rows", "kind"),
    [(0, "flat"), (499_999, "flat"), (500_000, "ivf")],
)
def test_the_kind_follows_the_size(rows, kind):
    assert Sizing().kind(rows) == kind


def test_a_graph_is_made_where_it_is_asked_for():
    sizing = Sizing(flat_below=10, hnsw_below=20)
    assert [sizing.kind(rows) for rows in (9, 10, 19, 20)] == ["flat", "hnsw", "hnsw", "ivf"]


@pytest.mark.parametrize(
    ("base", "tail", "removed", "due"),
    [
        (0, 4096, 0, False),
        (0, 4097, 0, True),
        (100_000, 20_000, 0, False),
        (100_000, 20_001, 0, True),
        (100_000, 0, 20_000, False),
        (100_000, 0, 20_001, True),
        (100, 0, 100, False),  # a handful of dead rows costs a search less than a rebuild
    ],
)
def test_compaction_is_due_when_the_tail_or_the_dead_weigh(base, tail, removed, due):
    assert Sizing().compaction_due(base=base, tail=tail, removed=removed) is due


def test_lists_never_outgrow_what_trains_them():
    assert factory("ivf", 20) == "IVF1,SQ8"
    assert factory("ivf", 1_000_000) == "IVF4000,SQ8"


def test_a_flat_base_has_no_structure():
    with pytest.raises(ValueError, match="no structure"):
        factory("flat", 10)
