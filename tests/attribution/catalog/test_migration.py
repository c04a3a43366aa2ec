import logging
import sqlite3

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from attribution.catalog import Catalog, CatalogTooNew, CatalogUnusable, migration, schema

_upgrade = migration.upgrade  # as it is before any fixture


@pytest.fixture(autouse=True)
def _migrated_in_earnest(monkeypatch):
    monkeypatch.setattr(migration, "upgrade", _upgrade)


def test_the_migrations_build_the_schema_of_the_code(catalog):
    with catalog._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_constraints_that_no_comparison_sees(catalog, tmp_path):
    # Alembic compares neither CHECK nor AUTOINCREMENT: compare what SQLite was told instead.
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'reference.sqlite3'}")
    schema.metadata.create_all(engine)
    with engine.connect() as connection:
        expected = definitions(connection)
    engine.dispose()
    with catalog._database.read() as connection:
        assert definitions(connection) == expected
    assert any("AUTOINCREMENT" in words for words in expected["sources"])


def definitions(connection):
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' "
        "AND name NOT IN ('alembic_version', 'sqlite_sequence')"
    )
    return {name: sorted(line.strip(" ,\t") for line in sql.splitlines()) for name, sql in rows}


def test_opening_again_keeps_epoch_and_contents(tmp_path, make_source):
    with Catalog.open(tmp_path) as first:
        source = first.add("m1", [make_source(1)]).items[0].source
    with Catalog.open(tmp_path) as second:
        assert second.epoch == first.epoch
        assert second.sources().items == (source,)
        assert second.generation() == 1
    with Catalog.open(tmp_path / "other") as other:
        assert other.epoch != first.epoch


def test_a_catalog_from_the_future_is_refused(tmp_path):
    Catalog.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "catalog.sqlite3")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(CatalogTooNew, match=r"'9999'.*upgrade the software"):
        Catalog.open(tmp_path)


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path):
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(b"holiday pictures" * 100)
    with pytest.raises(CatalogUnusable, match="not a database"):
        Catalog.open(tmp_path)
    assert path.read_bytes() == b"holiday pictures" * 100


def test_opening_leaves_logging_alone(tmp_path):
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("alembic").level)
    ours = logging.getLogger("somebody.else")
    Catalog.open(tmp_path).close()
    assert (root.level, list(root.handlers), logging.getLogger("alembic").level) == before
    assert not ours.disabled


def test_a_path_with_a_percent_sign(tmp_path):
    Catalog.open(tmp_path / "100%_% ä").close()


def test_the_schema_is_valid_for_postgresql():
    dialect = postgresql.dialect()
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))
    words = str(CreateTable(schema.sources).compile(dialect=dialect))
    assert "vector_id BIGSERIAL" in words
    assert "TIMESTAMP WITH TIME ZONE" in words
