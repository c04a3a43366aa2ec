import json
import logging
import sqlite3
import subprocess
import sys
from contextlib import closing

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

_upgrade = migration.upgrade  # as it is before any fixture


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


def set_back(path, revision):
    """Take a catalog's schema back to an earlier revision."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migration._SCRIPTS))
        command.downgrade(config, revision)
    engine.dispose()


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


def test_results_of_jobs_kept_as_documents_become_records(tmp_path):
    path = tmp_path / "catalog.sqlite3"
    Catalog.open(tmp_path).close()
    set_back(path, "0006")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO jobs (number, job_id, owner, state, parameters, total, completed, failed,"
            " fingerprint, created_at) VALUES (1, 'job_a', '', 'finished', '{}', 502, 502, 1, '',"
            " '2026-01-01 00:00:00')"
        )
        connection.executemany(
            "INSERT INTO job_items VALUES (1, ?, ?, 9, 'ended', 1)",
            [(position, f"{position}.jpg") for position in range(502)],
        )
        outcomes = [{"problem": OLD_PROBLEM}] + [{"attribution": OLD_ANSWER}] * 501
        connection.executemany(
            "INSERT INTO job_results VALUES (1, ?, ?, ?, ?)",
            [
                (position + 1, position, json.dumps(outcome), "problem" in outcome)
                for position, outcome in enumerate(outcomes)
            ],
        )
        connection.commit()
    with Catalog.open(tmp_path) as catalog:
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


def test_older_code_finds_no_job_whose_results_it_cannot_read(tmp_path):
    with Catalog.open(tmp_path) as catalog:
        incoming = catalog.jobs.receive()
        new = NewJob(parameters={}, items=[NewItem("a.jpg", 1)])
        job = catalog.jobs.create(incoming, new, most_active=1).job
        incoming.close()
        catalog.jobs.complete(job, [Ended(0, {"problem": {}}, failed=True)])
    set_back(tmp_path / "catalog.sqlite3", "0006")
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as connection:
        for table in ("jobs", "job_items", "job_results"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert connection.execute("SELECT document FROM job_results").fetchall() == []


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
