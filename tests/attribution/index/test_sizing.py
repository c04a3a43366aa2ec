import pytest

from attribution.index.sizing import Sizing


def test_small_bases_are_scanned_and_others_propose_as_many_as_are_wanted():
    assert [Sizing().scans(rows) for rows in (0, 49_999, 50_000)] == [True, True, False]
    assert [Sizing().nominated(k) for k in (10, 160, 200)] == [1024, 1024, 1200]


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
