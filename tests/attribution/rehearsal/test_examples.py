"""Credit goes where the sources are, copies share it, and without sources nobody has any."""

import pytest

from attribution.rehearsal.examples import Known, NothingToFit, UnreadablePicture, examples
from tests.support.pictures import picture


def known(seed, *truths, fold=0):
    return Known(lambda: picture(seed), tuple(map(frozenset, truths)), fold)


@pytest.fixture
def held(hold):
    return [source.vector_id for source in hold(range(40))]


def test_each_query_is_asked_with_and_without_its_sources(held, open_attributor):
    found = examples(open_attributor(), [known(3, {held[3]}), known(8, {held[8]}, fold=1)])
    assert len(found) == 4
    assert found.credit.sum(axis=1).tolist() == [1, 1, 1, 1]
    assert found.credit[:2, 0].tolist() == [1, 1], "a picture itself is found first"
    assert found.credit[2:, -1].tolist() == [1, 1]
    assert found.folds.tolist() == [0, 1, 0, 1]
    assert (found.statistics[2:, 0] < found.statistics[:2, 0]).all()
    assert (found.p_values[2:] > found.p_values[:2]).all()
    assert ((found.p_values > 0) & (found.p_values <= 1)).all()


def test_without_its_source_a_query_is_ranked_as_if_it_were_not_held(
    hold, held, open_attributor, catalog
):
    attributor = open_attributor()
    source = catalog.by_vector_ids([held[5]])[held[5]]
    left_out = examples(attributor, [known(5, {held[5]})]).statistics[1]
    catalog.delete(source_ids=[source.source_id])
    ranking = open_attributor().rank(attributor.encoder.encode([picture(5)], domain="query"))
    assert left_out[:39] == pytest.approx(ranking.heights[0, :39], abs=1e-4)


def test_credit_is_divided_among_sources_and_copies_count_once(held, hold, open_attributor):
    [copy] = hold([3], "other")
    found = examples(open_attributor(), [known(3, {held[3], copy.vector_id}, {held[9]}, set())])
    positive = found.credit[0]
    assert positive[0] == pytest.approx(1 / 3)
    assert sorted(positive)[-3:] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert positive[-1] == pytest.approx(1 / 3), "the third is not held"


def test_a_source_that_is_not_among_the_candidates_is_hidden(hold, open_attributor):
    ids = [source.vector_id for source in hold(range(130))]
    attributor = open_attributor()
    row = attributor.encoder.encode([picture(3)], domain="query")
    ranked = attributor.rank(row).hits.ids[0]
    unranked = next(vector_id for vector_id in ids if vector_id not in ranked)
    found = examples(attributor, [known(3, {unranked})])
    assert found.credit[0, -2] == 1


@pytest.mark.parametrize("no_source", [0.2, 0.5])
def test_weights_make_the_stated_share_of_queries_sourceless(held, open_attributor, no_source):
    queries = [known(3, {held[3]}), known(900), known(901)]
    found = examples(open_attributor(), queries, no_source=no_source)
    assert len(found) == 4
    sourceless = found.credit[:, -1] == 1
    assert found.weights[sourceless].sum() / found.weights.sum() == pytest.approx(no_source)


def test_a_picture_that_cannot_be_read_is_left_out(held, open_attributor, caplog):
    def broken():
        raise UnreadablePicture("picture 7: gone")

    queries = [Known(broken, (frozenset({held[7]}),), 0), known(3, {held[3]})]
    done = []
    assert len(examples(open_attributor(), queries, on_progress=done.append)) == 2
    assert "picture 7: gone" in caplog.text
    assert done == [1, 2]


def test_nothing_to_fit_is_said(held, open_attributor):
    with pytest.raises(NothingToFit, match="ingest their sources"):
        examples(open_attributor(), [known(3)])
    with pytest.raises(NothingToFit, match="no background images"):
        examples(open_attributor(None), [known(3, {held[3]})])
    with pytest.raises(ValueError, match="between 0 and 1"):
        examples(open_attributor(), [known(3, {held[3]})], no_source=1.0)
