import numpy as np
import pytest

from attribution.catalog import EmbeddingsMissing


def test_rows_come_in_the_order_asked(catalog, make_source):
    catalog.add("m1", [make_source(number) for number in (10, 20, 30)])
    rows = catalog.embeddings("m1", np.array([3, 1, 3]))
    assert rows.dtype == np.float32
    assert rows.shape == (3, 3)
    assert rows[:, 0].tolist() == [30, 10, 30]
    assert rows.flags.writeable


def test_any_finite_row_survives_bit_for_bit(catalog, make_source):
    rng = np.random.default_rng(0)
    vector = rng.standard_normal(512).astype(np.float32)
    vector[:3] = [np.finfo(np.float32).max, np.finfo(np.float32).tiny, -0.0]
    catalog.add("m1", [make_source(1, embedding=vector)])
    assert catalog.embeddings("m1", [1])[0].tobytes() == vector.tobytes()


def test_missing_rows_are_all_named(catalog, make_source):
    catalog.add("m1", [make_source(1)])
    with pytest.raises(EmbeddingsMissing, match=r"m1.*7, 8") as caught:
        catalog.embeddings("m1", [7, 1, 8])
    assert caught.value.vector_ids == (7, 8)
    with pytest.raises(KeyError):
        catalog.embeddings("other", [1])


def test_nothing_asked_gives_an_empty_matrix(catalog, make_source):
    assert catalog.embeddings("m1", []).shape == (0, 0)
    catalog.add("m1", [make_source(1)])
    assert catalog.embeddings("m1", []).shape == (0, 3)


def test_live_pages_cover_one_encoder(catalog, make_source):
    catalog.put_collection("artists")
    catalog.add(
        "m1", [make_source(n, collection="artists" if n % 2 else "default") for n in range(5)]
    )
    catalog.add("m2", [make_source(99, embedding=np.ones(2, dtype=np.float32))])
    catalog.delete(sha256s=[make_source(2).sha256])
    first = catalog.live_embeddings("m1", limit=3)
    rest = catalog.live_embeddings("m1", after_vector_id=int(first.vector_ids[-1]), limit=3)
    assert first.vector_ids.dtype == np.int64
    assert first.vector_ids.tolist() == [1, 2, 4]
    assert first.collections == ("default", "artists", "artists")
    assert rest.vectors.tolist() == [[4.0, 0.5, -1.0]]
    end = catalog.live_embeddings("m1", after_vector_id=5)
    assert (len(end), end.vectors.shape) == (0, (0, 3))
