"""Paths on the command line: `~` is the home folder, and an empty one is not the working folder."""

import inspect
import typing
from pathlib import Path

import pytest

from app.cli import options
from app.cli.main import COMMANDS, whole_command
from tests.support.pictures import draw

PARSERS = {options.path_given, options.path_or_unset}


def callbacks(command):
    """The functions of a command, or of the commands in it."""
    inner = getattr(command, "commands", None)
    return [inspect.unwrap(each.callback) for each in (inner.values() if inner else [command])]


def paths_of(function):
    """Name and declaration of every path that a command takes."""
    hints = typing.get_type_hints(function, include_extras=True)
    for name, hint in hints.items():
        if typing.get_origin(hint) is typing.Annotated and "Path" in str(hint.__origin__):
            yield name, hint.__metadata__[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_path_is_read_by_the_same_rules(command):
    for function in callbacks(whole_command(command)):
        for name, declared in paths_of(function):
            assert declared.parser in PARSERS, (function, name)


def test_there_are_paths_to_be_read():
    every = [name for command in COMMANDS for function in callbacks(whole_command(command))
             for name, _ in paths_of(function)]  # fmt: skip
    assert len(every) > 40


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with pictures in it, and a home folder."""
    draw(tmp_path / "here", range(3))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "here"


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "  "),
        ("ingest", "{}"),
        ("query", "000.jpg", "{}"),
        ("batch", "{}"),
        ("batch", "000.jpg", "--out", "{}"),
        ("explain", "000.jpg", "--out", "{}"),
        ("report", "{}", "--out", "r.json"),
        ("report", "000.jpg", "--out", "{}"),
        ("report", "new-key", "{}"),
        ("backup", "{}"),
        ("restore", "{}"),
        ("calibrate", "--background", "{}"),
        ("generate", "{}", "--out", "made"),
        ("generate", ".", "--out", "{}"),
        ("train", "{}", "--out", "run"),
        ("evaluate", "{}"),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_refused_and_nothing_is_made(attribution, here, arguments):
    before = sorted(here.iterdir())
    done = attribution(*(each.replace("{}", "") for each in arguments))
    assert done.code == 2, done
    assert "it is empty" in done.err
    assert sorted(here.iterdir()) == before


@pytest.mark.usefixtures("small_encoder_in_settings")
def test_what_is_written_to_the_home_folder_lands_there(attribution, here, held):
    home, data = here.parent / "home", ("--data", held)
    made = {
        "r.jsonl": ("batch", "000.jpg", "--out=~/r.jsonl", *data),
        "r.json": ("report", "000.jpg", "--out=~/r.json", *data),
        "e.png": ("explain", "000.jpg", "--out=~/e.png", *data),
        "backup": ("backup", "~/backup", *data),
        "made": ("generate", ".", "--out=~/made", "--singles", 1, "--pairs", 0),
    }
    for name, arguments in made.items():
        done = attribution(*arguments)
        assert done.code == 0, done.err
        assert (home / name).exists(), arguments
    assert not (here / "~").exists()


def test_a_name_that_begins_like_a_home_folder_is_itself_where_it_is_there(here):
    Path("~$000.jpg").write_bytes(b"what an editor leaves")
    assert options.path_given("~$000.jpg") == Path("~$000.jpg")
    assert options.path_given("~/x") == here.parent / "home" / "x"
    with pytest.raises(Exception, match="no home folder"):
        options.path_given("~no-such-user-here/x")


def test_a_key_file_of_an_empty_variable_is_none():
    assert options.path_or_unset("") is None
