"""takedown, compact, verify, backup and restore as people run them."""

import hashlib
import shutil
from pathlib import Path

import pytest

from attribution.catalog import Catalog, RegisteredEncoder
from attribution.maintenance import folder_lock
from tests.support.folders import files_with

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


@pytest.fixture
def data(held, tmp_path) -> Path:
    return shutil.copytree(held, tmp_path / "data")


def digest(held, seed):
    return hashlib.sha256((held.parent / f"{seed:03d}.jpg").read_bytes()).hexdigest()


def test_taken_down_backed_up_restored_and_still_down(attribution, held, data, tmp_path):
    backup = tmp_path / "backup"
    made = attribution("backup", backup, "--data", data, "--json")
    assert (made.code, made.document["sources"]) == (0, 12)

    gone = digest(held, 4)
    taken = attribution("takedown", gone, "--reason", "a court order", "--data", data, "--json")
    assert taken.code == 0, taken.err
    assert len(taken.document["source_ids"]) == 1
    assert taken.document["erased"]["index_clean"]
    assert files_with(data, b"picture:4") == []
    listed = attribution("takedown", "--list", "--data", data, "--json").document
    assert [(row["sha256"], row["reason"]) for row in listed] == [(gone, "a court order")]

    again = attribution("ingest", held.parent / "manifest.jsonl", "--data", data, "--json")
    assert again.code == 1
    [skipped] = again.document["skipped"]
    assert "taken down" in skipped["reason"]

    refused = attribution("restore", backup, "--data", data)
    assert refused.code == 1
    assert "--force" in refused.err
    restored = attribution("restore", backup, "--data", data, "--force", "--json")
    assert restored.code == 0, restored.err
    assert (restored.document["sources"], len(restored.document["taken_down"])) == (11, 1)
    assert files_with(data, b"picture:4") == []
    assert attribution("verify", "--data", data, "--json").document["findings"] == []

    lifted = attribution("takedown", gone, "--lift", "--data", data, "--json")
    assert lifted.document == {"lifted": [gone]}
    again = attribution("takedown", gone, "--lift", "--data", data)
    assert again.code == 1
    assert f"not taken down: {gone}" in again.err
    back = attribution("ingest", held.parent / "manifest.jsonl", "--data", data, "--json")
    assert back.document["added"] == 1


def test_an_id_that_names_nothing_is_an_error(attribution, data):
    done = attribution("takedown", "src_" + "a" * 20, "--reason", "why", "--data", data)
    assert done.code == 1
    assert "no source has the id" in done.err


@pytest.mark.parametrize(
    "arguments",
    [[], ["0" * 64], ["--reason", "why"], ["0" * 64, "--list"], ["--lift"],
     ["0" * 64, "--lift", "--reason", "why"]],
)  # fmt: skip
def test_a_takedown_that_is_not_clear_is_not_begun(attribution, data, arguments):
    done = attribution("takedown", *arguments, "--data", data)
    assert done.code == 2
    assert attribution("takedown", "--list", "--data", data, "--json").document == []


def test_compact_says_how_far_it_got(attribution, data):
    done = attribution("compact", "--data", data, "--json")
    assert done.code == 0
    assert done.document["index_clean"]


def test_verify_tells_what_it_can_and_cannot_mend(attribution, data):
    sound = attribution("verify", "--data", data)
    assert sound.code == 0
    assert "all sound" in sound.out
    next((data / "previews").glob("*/*.jpg")).unlink()
    broken = attribution("verify", "--data", data, "--repair")
    assert broken.code == 1
    assert "beyond-repair: preview-missing" in broken.err


def test_verify_looks_at_the_log_before_anything_opens_the_catalog(attribution, data, tmp_path):
    with Catalog.open(data) as catalog:
        for number in range(12):
            catalog.put_collection(f"c{number}")
        crashed = shutil.copytree(data, tmp_path / "crashed")  # as a killed process leaves it
    log = crashed / "catalog.sqlite3-wal"
    damaged = bytearray(log.read_bytes())
    damaged[32 + 6 * 4120 + 500] ^= 0x10
    log.write_bytes(damaged)
    done = attribution("verify", "--data", crashed, "--json")
    assert done.code == 1
    assert "log-damaged" in {finding["kind"] for finding in done.document["findings"]}


def test_verify_tells_of_an_unusable_catalog_as_of_everything_else(attribution, data):
    (data / "catalog.sqlite3").write_bytes(b"no database at all" * 1000)
    done = attribution("verify", "--data", data, "--json")
    assert done.code == 1
    [finding] = done.document["findings"]
    assert (finding["kind"], finding["state"]) == ("catalog-unusable", "beyond-repair")


def test_verify_looks_at_the_rest_where_the_active_encoder_is_gone(attribution, data):
    with Catalog.open(data) as catalog:
        [model_id] = catalog.models()
        catalog.encoders.register(RegisteredEncoder(model_id, "/nowhere/encoder", None))
        catalog.encoders.activate(model_id)
    next((data / "previews").glob("*/*.jpg")).unlink()
    done = attribution("verify", "--data", data, "--json")
    assert done.code == 1
    kinds = {finding["kind"] for finding in done.document["findings"]}
    assert kinds == {"encoder-unavailable", "preview-missing"}


def test_restore_and_a_saved_index_wait_for_the_service_to_stop(attribution, data, tmp_path):
    assert attribution("backup", tmp_path / "backup", "--data", data).code == 0
    with folder_lock(data, "a service"):
        for command in (
            ["restore", tmp_path / "backup", "--force"],
            ["index", "--save"],
            ["serve", "--port", "0"],
        ):
            done = attribution(*command, "--data", data)
            assert done.code == 1, command
            assert "in use by a service" in done.err
            assert "Traceback" not in done.err
