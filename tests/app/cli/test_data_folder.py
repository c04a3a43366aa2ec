"""What every command does where the data folder is missing, empty, foreign, closed or read-only."""

import json
import shutil
import sys

import pytest

from app.cli.main import COMMANDS, whole_command
from tests.support.pictures import draw
from tests.support.terminal import call
from tests.support.users import as_ordinary_user, give_back, take_away

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")

DIGEST = "a" * 64
IMAGE, OUT, SMALL = "{image}", "{out}", "{encoder}"
READ = {
    "query": ("query", IMAGE),
    "query by name of encoder": ("query", IMAGE, "--encoder", SMALL),
    "batch": ("batch", IMAGE, "--out", f"{OUT}/results.jsonl"),
    "explain": ("explain", IMAGE, "--out", f"{OUT}/picture.png"),
    "report": ("report", IMAGE, "--out", f"{OUT}/report.json"),
    "verify": ("verify",),
    "backup": ("backup", f"{OUT}/backup"),
    "index": ("index",),
    "index --rebuild": ("index", "--rebuild"),
    "keys list": ("keys", "list"),
    "takedown --list": ("takedown", "--list"),
    "webhooks list": ("webhooks", "list"),
    "reembed": ("reembed",),
    "generate --collection": (
        *("generate", "--collection", "even", "--out", f"{OUT}/made"),
        *("--singles", "1", "--pairs", "0", "--size", "16", "--limit", "2"),
    ),
}
CHANGE = {
    "takedown": ("takedown", DIGEST, "--reason", "court"),
    "takedown --lift": ("takedown", DIGEST, "--lift"),
    "compact": ("compact",),
    "verify --restored": ("verify", "--restored"),
    "keys create": ("keys", "create", "shop"),
    "keys revoke": ("keys", "revoke", "key_none"),
    "reembed ENCODER": ("reembed", SMALL),
    "reembed --drop": ("reembed", "--drop", "none"),
    "calibrate": ("calibrate",),
    "engine build": ("engine", "build"),
    "engine show": ("engine", "show"),
    "webhooks retry": ("webhooks", "retry"),
    "webhooks forget": ("webhooks", "forget"),
}
MAKE = {
    "ingest": ("ingest", "{pictures}"),
    "calibrate --background": ("calibrate", "--background", "{pictures}"),
    "restore": ("restore", "{backup}", "--force"),
    "serve": ("serve", "--port", "0"),
}
EVERY = [*READ, *CHANGE]
WITHOUT_A_DATA_FOLDER = {
    "demo": "makes one of its own in --out",
    "train": "reads pictures and writes an encoder",
    "evaluate": "makes one of its own, in --gallery where it is to stay",
    "report verify": "reads a report",
    "report new-key": "writes a key",
    "webhooks secret": "prints a secret",
}
DESCRIBES = "doctor"
"""What it finds is its answer, whatever that is: `doctor/test_command.py`."""


@pytest.fixture(scope="module")
def places(tmp_path_factory, small_encoder, held):
    """What the commands name."""
    folder = tmp_path_factory.mktemp("places")
    draw(folder / "pictures", range(24))
    done = call("backup", folder / "backup", "--data", held)
    assert done.code == 0, done.err
    return {
        "image": str(folder / "pictures" / "000.jpg"),
        "pictures": str(folder / "pictures"),
        "encoder": str(small_encoder),
        "backup": str(folder / "backup"),
    }


@pytest.fixture
def run(places, tmp_path):
    def run(name, data):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        return call(*filled(name, {**places, "out": str(out)}), "--data", data), out

    return run


def filled(name, places):
    arguments = {**READ, **CHANGE, **MAKE}[name]
    return [argument.format(**places) for argument in arguments]


def contents(folder):
    """Every file and folder, with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


def every_command():
    """Each command of `attribution --help` and of its groups, and whether it takes --data."""
    for name in COMMANDS:
        command = whole_command(name)
        for inner, each in getattr(command, "commands", {"": command}).items():
            takes = any(
                parameter.name == "data" and "--data" in parameter.opts for parameter in each.params
            )
            yield f"{name} {inner}".strip(), takes


def test_every_command_is_here():
    """A new command that works on a catalog has to say here what it does without one."""
    tried = {
        " ".join(arguments[:words])
        for arguments in {**READ, **CHANGE, **MAKE}.values()
        for words in (1, 2)
    }
    tried |= {"report make", DESCRIBES}  # the name of the first may be left out
    for name, takes_data in every_command():
        assert (name in tried) == takes_data, name
        assert (name in WITHOUT_A_DATA_FOLDER) != takes_data, name


@pytest.mark.parametrize("name", EVERY)
def test_a_folder_that_is_not_there_is_named_and_not_made(run, tmp_path, name):
    done, out = run(name, tmp_path / "no-such")
    assert done.code == 1, done
    assert str(tmp_path / "no-such") in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert not (tmp_path / "no-such").exists()
    assert contents(out) == {}


@pytest.mark.parametrize("name", EVERY)
def test_a_folder_without_a_catalog_is_left_as_it_is(run, tmp_path, name):
    data = tmp_path / "photos"
    draw(data, [1])
    before = contents(data)
    done, out = run(name, data)
    assert done.code == 1, done
    assert f"there is no catalog in {data}" in done.err
    assert contents(data) == before
    assert contents(out) == {}


@pytest.mark.parametrize("name", [*EVERY, *MAKE])
@pytest.mark.parametrize("kind", ["file", "in a file", "link to nowhere"])
def test_what_can_be_no_data_folder_is_named_and_left_alone(run, tmp_path, name, kind):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("mine")
    link.symlink_to(tmp_path / "unmounted")
    data = {
        "file": file,
        "in a file": file / "data",
        "link to nowhere": link,
    }[kind]
    done, out = run(name, data)
    assert done.code == 1, done
    assert str(data) in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert file.read_text() == "mine"
    assert link.is_symlink()
    assert not link.exists()
    assert contents(out) == {}


@pytest.mark.parametrize("name", EVERY)
def test_a_folder_of_the_name_of_a_catalog_is_none(run, tmp_path, name):
    data = tmp_path / "data"
    (data / "catalog.sqlite3").mkdir(parents=True)
    done, out = run(name, data)
    assert done.code == 1, done
    assert f"there is no catalog in {data}" in done.err
    assert contents(data) == {"catalog.sqlite3": False}
    assert contents(out) == {}


@pytest.mark.parametrize("name", [name for name in EVERY if "verify" not in name])
@pytest.mark.parametrize("content", [b"", b"no database at all, but a longer text than its head"])
def test_a_file_that_is_no_catalog_is_told(run, tmp_path, name, content):
    data = tmp_path / "data"
    data.mkdir()
    (data / "catalog.sqlite3").write_bytes(content)
    done, out = run(name, data)
    assert done.code == 1, done
    assert "catalog" in done.err
    assert len(done.err.splitlines()) == 1
    assert (data / "catalog.sqlite3").read_bytes() == content
    assert "results.jsonl" not in contents(out) or contents(out)["results.jsonl"] == b""


@pytest.mark.parametrize("content", [b"", b"no database at all, but a longer text than its head"])
def test_verify_finds_a_file_that_is_no_catalog(run, tmp_path, content):
    data = tmp_path / "data"
    data.mkdir()
    (data / "catalog.sqlite3").write_bytes(content)
    done, _ = run("verify", data)
    assert done.code == 1
    assert "catalog-unusable" in done.err


@pytest.mark.parametrize("name", ["query", "batch", "explain", "report"])
def test_a_missing_catalog_is_told_before_an_image_that_cannot_be_read(tmp_path, name):
    outs = {"batch": "r.jsonl", "explain": "p.png", "report": "r.json"}
    out = ["--out", tmp_path / outs[name]] if name in outs else []
    done = call(name, tmp_path / "none.jpg", *out, "--data", tmp_path / "no-such")
    assert done.code == 1
    assert "there is no catalog" in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_catalog_is_told_as_such(run, tmp_path):
    data = tmp_path / "data"
    (tmp_path / "nothing").mkdir()
    assert call("ingest", tmp_path / "nothing", "--data", data).code == 0
    for name in ("query", "explain", "report", "batch"):
        done, out = run(name, data)
        assert done.code == 0, done
        assert f"0 sources can be found in {data}" in done.err
        assert "no source found" not in done.out.lower()
        assert "no_source_found" not in done.out
        assert "100%" not in done.out, "no area, for none was compared"
    [line] = (out / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["attribution"]["reason"] == "nothing-held"
    report = json.loads((out / "report.json").read_text())
    assert "nothing to compare with" in report["statement"][0]


def test_an_empty_collection_is_told_as_such(held, places, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(held, data)
    done = call("query", places["image"], "-c", "default", "--data", data)
    assert done.code == 0, done
    assert "0 sources can be found in collection default of" in done.err
    assert "nothing to compare with" in done.out
    assert "0 sources" not in call("query", places["image"], "-c", "even", "--data", data).err


def test_a_path_at_home_is_expanded_and_an_empty_one_counts_as_unset(
    monkeypatch, tmp_path, held, places
):
    monkeypatch.setenv("HOME", str(held.parent))
    monkeypatch.chdir(tmp_path)
    for data in ("--data=~/data", "--data", ""):
        arguments = [data] if data.startswith("--data=") else []
        monkeypatch.setenv("ATTRIBUTION_DATA", "" if arguments else "~/data")
        assert call("keys", "list", *arguments).code == 0
    monkeypatch.setenv("ATTRIBUTION_DATA", "")
    for arguments in ([], ["--data", ""], ["--data="]):
        done = call("keys", "list", *arguments)
        assert done.code == 1
        assert f"there is no catalog in {tmp_path / 'var'}" in done.err
    done = call("keys", "list", "--data=~no-such-user-here/data")
    assert done.code == 2
    assert "there is no home folder for ~no-such-user-here/data" in done.err
    assert list(tmp_path.iterdir()) == []


def all_of_them(names, places, data):
    """In a process of its own: each command, and how it ended, as a line of JSON."""
    for name in names:
        done = call(*filled(name, places), "--data", data)
        sys.stdout.write(json.dumps([name, done.code, done.out, done.err]) + "\n")
        sys.stdout.flush()


def by_somebody_else(names, places, data):
    out = data.parent / "out"
    out.mkdir()
    fork = as_ordinary_user(
        all_of_them,
        names,
        {**places, "out": str(out)},
        data,
        ATTRIBUTION_ENCODER=places["encoder"],
    )
    written, errors = fork.communicate(timeout=240)
    told = {name: done for name, *done in map(json.loads, written.splitlines())}
    assert told.keys() == set(names), errors
    return told


@pytest.fixture
def folder_of_another(tmp_path, held):
    data = tmp_path / "data"
    shutil.copytree(held, data)
    yield data
    give_back(data)


def test_a_folder_that_may_not_be_read_is_named(places, folder_of_another):
    before = contents(folder_of_another)
    take_away(folder_of_another, reading=True)
    told = by_somebody_else([*READ, *CHANGE, *MAKE], places, folder_of_another)
    for name, (code, printed, errors) in told.items():
        assert code == 1, (name, printed, errors)
        assert str(folder_of_another) in errors, name
        assert "Traceback" not in errors, name
        assert printed == "", name
    give_back(folder_of_another)
    assert contents(folder_of_another) == before


def test_a_reader_without_permission_to_write_can_ask_and_changes_nothing(
    places, folder_of_another
):
    before = contents(folder_of_another)
    allowed = call("query", places["image"], "--json", "--data", folder_of_another)
    assert contents(folder_of_another) == before
    take_away(folder_of_another, reading=False)
    told = by_somebody_else([*READ, *CHANGE, *MAKE], places, folder_of_another)
    assert "not-writable" in told["verify"][2]
    for name in READ:
        code, printed, errors = told[name]
        assert code == (1 if name == "verify" else 0), (name, printed, errors)
    for name in [*CHANGE, *MAKE]:
        code, printed, errors = told[name]
        assert code == 1, (name, printed, errors)
        assert str(folder_of_another) in errors, (name, errors)
        assert "Traceback" not in errors, name
    give_back(folder_of_another)
    assert contents(folder_of_another) == before
    first = allowed.document["sources"][0]["title"]
    assert first in told["query"][1]
