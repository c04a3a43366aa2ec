import pytest

from attribution.catalog import CollectionNotFound, InvalidField
from tests.support.catalogs import only_sqlite


def test_a_new_catalog_has_the_default_collection(catalog):
    (only,) = catalog.collections()
    assert (only.name, only.description, only.sources) == ("default", "", 0)
    assert only.created_at.tzinfo is not None


def test_put_creates_then_updates(catalog, make_source):
    created = catalog.put_collection("artists", "ours").collection
    catalog.add("m1", [make_source(1, collection="artists")])
    updated = catalog.put_collection("artists", "theirs").collection
    assert (created.sources, updated.sources) == (0, 1)
    assert (updated.description, updated.created_at) == ("theirs", created.created_at)
    assert catalog.collection("artists") == updated
    assert [collection.name for collection in catalog.collections()] == ["artists", "default"]


@only_sqlite
@pytest.mark.parametrize("name", ["a", "0", "a.b-c_d", "x" * 64])
def test_good_names(catalog, name):
    assert catalog.put_collection(name).collection.name == name


@only_sqlite
@pytest.mark.parametrize(
    "name", ["", "A", "-a", ".a", "a b", "a/b", "ä", "a\n", "x" * 65, "\ud800"]
)
def test_bad_names_cannot_be_created_and_are_not_found(catalog, name):
    with pytest.raises(InvalidField, match="collection"):
        catalog.put_collection(name)
    with pytest.raises(CollectionNotFound):
        catalog.collection(name)


def test_their_order_is_that_of_their_characters_on_every_database(catalog):
    for name in ("ab", "a-b", "a.b", "a_b", "aa"):
        catalog.put_collection(name)
    names = [collection.name for collection in catalog.collections()]
    assert names == ["a-b", "a.b", "a_b", "aa", "ab", "default"]
