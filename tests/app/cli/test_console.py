"""What commands print of other people's text: it can be read, and does nothing else."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from app.cli import console
from app.cli.main import main
from attribution.catalog import Catalog
from tests.support.forks import Fork


@pytest.mark.parametrize(
    "control", ["\x1b[2J", "\x9b31m", "\x07", "\r", "\x08", "\u202e", "\u2066", "\u2028", "\x7f"]
)
def test_controls_are_spelt_out(capsys, control):
    table = Table(title=f"over{control}title")
    table.add_column("source")
    table.add_row(f"not {control}attributed")
    console.out.print(table)
    console.out.print(f"line{control}", soft_wrap=True)
    printed = capsys.readouterr().out
    assert control[0] not in printed
    assert printed.count(f"<U+{ord(control[0]):04X}>") == 3


def test_a_name_with_line_ends_is_one_line(capsys):
    name = Path("a\nadded 1000\tx.jpg")
    console.warn(f"skipped {name}: damaged")
    console.note(f"{name}")
    console.fail_about(name, FileNotFoundError(errno.ENOENT, "No such file", str(name)))
    console.fail_about(name, ValueError("no picture"))
    spelt = "a<U+000A>added 1000<U+0009>x.jpg"
    assert capsys.readouterr().err.splitlines() == [
        f"skipped {spelt}: damaged",
        spelt,
        f"{spelt}: No such file",
        f"{spelt}: no picture",
    ]


def test_letters_of_all_scripts_stay(capsys):
    text = "été 東京 قطة \U0001f5fc [bold] :cat:"
    console.out.print(text)
    assert capsys.readouterr().out == text + "\n"


COMMANDS = [("--help",), ("keys", "list"), ("keys", "list", "--json")]


def run(arguments):
    sys.argv = ["attribution", *arguments]
    main()


def on_a_full_disk(arguments):
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    run(arguments)


def unread(arguments):
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.close(reader)
    run(arguments)


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize(
    ("where", "told"),
    [(on_a_full_disk, "stdout cannot be written: No space left on device\n"), (unread, "")],
)
def test_an_answer_that_cannot_be_written_ends_the_command(held, arguments, where, told):
    done = Fork(where, arguments, ATTRIBUTION_DATA=str(held))
    _, errors = done.communicate(60)
    assert done.returncode == 1
    assert errors == told


def test_closed_streams_are_given_to_no_file(tmp_path, held):
    shutil.copytree(held, tmp_path / "data")
    command = [sys.executable, "-m", "app.cli.main", "keys", "create", "x"]
    closed = ["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", *command, "--data", tmp_path / "data"]
    assert subprocess.run(closed, check=False, timeout=120).returncode == 0
    with Catalog.existing(tmp_path / "data") as catalog:
        assert [key.name for key in catalog.keys.every()] == ["x"]
        assert catalog.checks.database() == ()
