import json
import logging
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from attribution.catalog import (
    Catalog,
    CatalogTooNew,
    CatalogUnusable,
    Ended,
    NewItem,
    NewJob,
    migration,
    schema,
)
from tests.support.catalogs import only_sqlite

_upgrade = migration.upgrade  # as it is before any fixture


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """The URL of a database without any table; None for a file in the folder that is opened."""
    if request.param == "sqlite":
        yield None
    else:
        with request.getfixturevalue("postgresql").database(template="template1") as url:
            yield url


@pytest.fixture
def database(tmp_path, url):
    """The database of the catalog in `tmp_path`, past the catalog."""
    engine = sa.create_engine(url or f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _migrated_in_earnest(monkeypatch):
    monkeypatch.setattr(migration, "upgrade", _upgrade)


def test_the_migrations_build_the_schema_of_the_code(catalog):
    with catalog._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_the_names_of_the_scripts_tell_the_revisions_that_alembic_reads_in_them():
    scripts = ScriptDirectory(str(migration._SCRIPTS))
    newest_first = [script.revision for script in scripts.walk_revisions()]
    assert list(migration.revisions()) == newest_first[::-1]
    assert migration.revisions()[-1] == scripts.get_current_head()


def test_opening_a_catalog_that_is_up_to_date_needs_no_alembic(tmp_path):
    Catalog.open(tmp_path).close()
    script = (
        "import sys; from pathlib import Path; from attribution.catalog import Catalog\n"
        "Catalog.open(Path(sys.argv[1])).close()\n"
        "assert 'alembic' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr


@only_sqlite
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
    # A table that a migration has made anew is named in quotes.
    return {
        name: sorted(line.strip(" ,\t") for line in sql.replace('"', "").splitlines())
        for name, sql in rows
    }


def test_opening_again_keeps_epoch_and_contents(tmp_path, make_source):
    with Catalog.open(tmp_path) as first:
        source = first.add("m1", [make_source(1)]).items[0].source
    with Catalog.open(tmp_path) as second:
        assert second.epoch == first.epoch
        assert second.sources().items == (source,)
        assert second.generation() == 1
    with Catalog.open(tmp_path / "other") as other:
        assert other.epoch != first.epoch


def test_a_catalog_from_the_future_is_refused(tmp_path, url, database):
    Catalog.open(tmp_path, url=url).close()
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogTooNew, match=r"'9999'.*upgrade the software"):
        Catalog.open(tmp_path, url=url)


def test_the_way_back_ends_with_nothing_and_the_way_up_begins_there(tmp_path, url, database):
    with Catalog.open(tmp_path, url=url) as catalog:
        first = catalog.epoch
    set_back(database, "base")
    assert sa.inspect(database).get_table_names() == ["alembic_version"]
    with Catalog.open(tmp_path, url=url) as catalog:
        assert catalog.epoch != first
        assert [collection.name for collection in catalog.collections()] == ["default"]


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path):
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(b"holiday pictures" * 100)
    with pytest.raises(CatalogUnusable, match="not a database"):
        Catalog.open(tmp_path)
    assert path.read_bytes() == b"holiday pictures" * 100


def set_back(database, revision):
    """Take a catalog's schema back to an earlier revision."""
    with database.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migration._SCRIPTS))
        command.downgrade(config, revision)


OLD_ANSWER = {
    "request_id": "job_a", "model_id": "m1", "index_generation": 3, "decision": "attributed",
    "p_value": 0.004, "alpha": 0.01, "calibration": {"id": "c1", "state": "fresh"},
    "other_share": 0.1, "unattributed_share": 0.2,
    "sources": [{"rank": 1, "collection": "default", "score": 9.5, "p_value": 0.004, "share": 0.7,
                 "attributed": True, "heatmap": None, "vector_id": 2}],
    "region_map": None,
    "query": {"sha256": "ab" * 32, "width": 160, "height": 171, "format": "jpeg"},
    "timings_ms": {"decode": 9.35, "queue": 2.15, "encode": 62.53, "search": 5.0, "explain": None,
                   "total": 79.04},
}  # fmt: skip
OLD_PROBLEM = {
    "type": "/problems/unsupported-image", "title": "Unsupported image", "status": 415,
    "detail": "No image.", "request_id": "job_a",
}  # fmt: skip


def test_results_of_jobs_kept_as_documents_become_records(tmp_path, url, database):
    Catalog.open(tmp_path, url=url).close()
    set_back(database, "0006")
    outcomes = [{"problem": OLD_PROBLEM}] + [{"attribution": OLD_ANSWER}] * 501
    with database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO jobs (number, job_id, owner, state, parameters, total, completed, failed,"
            " fingerprint, created_at) VALUES (1, 'job_a', '', 'finished', '{}', 502, 502, 1, '',"
            " '2026-01-01 00:00:00')"
        )
        connection.execute(
            sa.text("INSERT INTO job_items VALUES (1, :position, :name, 9, 'ended', 1)"),
            [{"position": position, "name": f"{position}.jpg"} for position in range(502)],
        )
        connection.execute(
            sa.text("INSERT INTO job_results VALUES (1, :number, :position, :outcome, :failed)"),
            [
                {
                    "number": position + 1,
                    "position": position,
                    "outcome": json.dumps(outcome),
                    "failed": "problem" in outcome,
                }
                for position, outcome in enumerate(outcomes)
            ],
        )
    with Catalog.open(tmp_path, url=url) as catalog:
        problem, *answers = catalog.jobs.results("job_a", limit=1000)
        assert (problem.failed, problem.sha256) == (True, None)
        assert problem.record == {
            "problem": {"slug": "unsupported-image", "detail": "No image.", "errors": []}
        }
        assert len(answers) == 501
        assert {answer.sha256 for answer in answers} == {"ab" * 32}
        assert answers[500].record == answers[0].record == {
            "attribution": {
                "model_id": "m1", "index_generation": 3, "decision": "attributed",
                "p_value": 0.004, "alpha": 0.01, "calibration": {"id": "c1", "state": "fresh"},
                "other_share": 0.1, "unattributed_share": 0.2,
                "sources": [{"source": 2, "rank": 1, "score": 9.5, "p_value": 0.004, "share": 0.7,
                             "attributed": True}],
            },
            "query": {"width": 160, "height": 171, "format": "jpeg"},
            "timings": pytest.approx({"decode": 0.00935, "queue": 0.00215, "encode": 0.06253,
                                      "search": 0.005, "explain": None, "total": 0.07904}),
        }  # fmt: skip
        catalog.takedowns.take(sha256s=["ab" * 32], reason="a test")
        names = [result.filename for result in catalog.jobs.results("job_a", limit=1000)]
        assert names == ["0.jpg"] + [None] * 501


def test_older_code_finds_no_job_whose_results_it_cannot_read(tmp_path, url, database):
    with Catalog.open(tmp_path, url=url) as catalog:
        incoming = catalog.jobs.receive()
        new = NewJob(parameters={}, items=[NewItem("a.jpg", 1)])
        job = catalog.jobs.create(incoming, new, most_active=1).job
        incoming.close()
        catalog.jobs.complete(job, [Ended(0, {"problem": {}}, failed=True)])
    set_back(database, "0006")
    with database.connect() as connection:
        for table in ("jobs", "job_items", "job_results"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0
        assert connection.exec_driver_sql("SELECT document FROM job_results").all() == []


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
