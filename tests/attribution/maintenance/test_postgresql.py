"""The backup of a catalog in PostgreSQL: the commands that are told, run, bring everything back."""

import shlex
import shutil

import pytest

from attribution.catalog import Catalog, CatalogUnusable
from attribution.catalog.copying import how_to_restore
from attribution.maintenance import verify
from tests.support.folders import PixelEncoder, fill
from tests.support.postgresql import PASSWORD


def run_in(server, told, program, dump):
    """Run the command of a program that is among what was told, on another file."""
    [command] = [part for part in told.split("; ") if program in part]
    words = shlex.split(command[command.index(program) :])
    server.run(words[0], *(word.replace("catalog.dump", str(dump)) for word in words[1:]))


def test_what_is_dumped_comes_back_into_another_database_and_is_sound(postgresql, tmp_path):
    folder, fresh = tmp_path / "data", tmp_path / "fresh"
    dump = postgresql.folder / "catalog.dump"
    url = postgresql.empty_catalog() + f"&sslpassword={PASSWORD}"
    with Catalog.open(folder, url=url) as catalog:
        fill(catalog, range(4))
        with pytest.raises(CatalogUnusable) as told:
            catalog.copies.require(folder)
        run_in(
            postgresql, str(told.value).replace(f"; after it copy {folder}", "; "), "pg_dump", dump
        )
        shutil.copytree(folder / "previews", fresh / "previews")
        kept = catalog.sources().items
        fill(catalog, [9])
    with postgresql.database(template="template1") as other:
        how = how_to_restore(other, fresh)
        assert "attribution verify --restored" in how
        epochs = set()
        for times in range(2):  # into an empty database, and in the place of what is there
            run_in(postgresql, how, "pg_restore", dump)
            found = verify(
                fresh,
                lambda _: PixelEncoder(),
                snapshots=fresh / "index",
                url=other,
                restored=True,
            )
            assert (found.findings, found.sources) == ((), 4)
            with Catalog.existing(fresh, url=other) as catalog:
                assert catalog.sources().items == kept
                assert catalog.preview(kept[0].source_id)
                assert catalog.generation() == 4
                epochs.add(catalog.epoch)
                fill(catalog, [20 + times])
    assert len(epochs) == 2, "no index of the one is believed in the other"
    assert PASSWORD not in str(told.value) + how
    dump.unlink()
