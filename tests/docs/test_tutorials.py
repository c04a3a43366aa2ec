"""The tutorials run from top to bottom as they are written, against a real service.

An encoder of a few weights stands in for the bundled one, so figures of answers are not compared;
what does not depend on an encoder is.
"""

import contextlib
import io
import json
import re
import shlex
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.cli.options import settings_from
from tests.support.encoders import make_encoder
from tests.support.pictures import picture
from tests.support.service import serving
from tests.support.terminal import call

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
HELD = ("astronaut", "coffee", "chelsea", "china", "flower")
ASKED = (
    *HELD, "rocket", "motorcycle", "retina", "tissue", "astronaut-with-coffee",
    "chelsea-with-tissue", "china-with-flower", "motorcycle-with-retina",
)  # fmt: skip
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"
BY_THE_READER = ("make ", ". ")  # installs, and what the demo leaves: made by `here`
CHEAPER = ("report.pdf", "report.json")  # what a PDF holds has tests of its own
ABOUT_THE_ENCODER = re.compile(r"[┃┏┡│└]|p = |no source here|^where.png")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("encoder") / "small"
    make_encoder(folder, 1)
    return str(folder)


@pytest.fixture
def here(tmp_path, monkeypatch, encoder) -> Path:
    """A working folder with what the demo leaves of pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTRIBUTION_ENCODER", encoder)
    for folder, names in (("photographs", (*HELD, "rocket")), ("synthetic-0", ASKED)):
        (tmp_path / "demo" / folder).mkdir(parents=True)
        for seed, name in enumerate(names):
            picture(seed).save(tmp_path / "demo" / folder / f"{name}.png")
    return tmp_path


class Reader:
    """Somebody who does what a tutorial says, line by line."""

    def __init__(self, service: ExitStack):
        self.service, self.url, self.digest, self.said = service, ADDRESS, "", ""

    def follow(self, text: str) -> int:
        """Do it all; the number of commands."""
        commands = 0
        for kind, title, body in FENCE.findall(text):
            if title:
                Path(title).write_text(body)
            elif kind == "console":
                steps = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
                for step in steps:
                    line, _, shown = step.partition("\n")
                    self.run(line)
                    self.compare(shown)
                commands += len(steps)
            elif kind == "python":
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(compile(body, "tutorial", "exec"), {})
                assert len(printed.getvalue().splitlines()) == len(ASKED)
            elif kind == "json":
                assert shape(json.loads(body)) <= shape(json.loads(self.said))
        return commands

    def run(self, line: str) -> None:
        if line.startswith(BY_THE_READER):
            return
        line, _, code = line.partition("  # exit ")
        line = line.replace(ADDRESS, self.url).replace(*CHEAPER)
        if "takedown" in line:
            line = re.sub(r"[0-9a-f]{64}", self.digest, line)
        if line == "attribution serve &":
            self.url = self.service.enter_context(serving(settings_from(), None)).url
        elif line.startswith("attribution "):
            command, _, file = line.removeprefix("attribution ").partition(" > ")
            done = call(*shlex.split(command))
            assert done.code == int(code or 0), f"{line}\n{done.err}"
            if file:
                Path(file).write_text(done.out)
            self.said = done.err + done.out
        else:
            done = subprocess.run(
                ["bash", "-c", line], check=True, capture_output=True, text=True, timeout=60
            )
            self.said = done.stdout
            if line.startswith("sha256sum"):
                self.digest = self.said.split()[0]
            if line.startswith("curl") and self.said.startswith("{"):
                assert "/problems/" not in self.said

    def compare(self, shown: str) -> None:
        """What is shown was said; a line that depends on the encoder, at least by its kind."""
        said = " ".join(self.said.split())
        for line in filter(None, shown.splitlines()):
            if ABOUT_THE_ENCODER.search(line):
                continue
            wanted = re.escape(" ".join(line.replace(*CHEAPER).split())).replace("FOLDER", r"\S+")
            wanted = re.sub(r"\d+\\\.\d\\ MB", r"\\d+\\.\\d MB", wanted)
            wanted = re.sub(r"[0-9a-f]{64}", self.digest, wanted)
            assert re.search(wanted, said), f"{line}\nis not in\n{self.said}"


def shape(document) -> set[str]:
    """The names in a document, with the way to each."""
    if isinstance(document, list):
        return {name for entry in document for name in shape(entry)}
    if not isinstance(document, dict):
        return set()
    inner = {f"{name}.{way}" for name, value in document.items() for way in shape(value)}
    return inner | set(document)


@pytest.mark.parametrize("name", ["rights-manager", "generator", "operator"])
def test_a_tutorial_runs_as_it_is_written(here, name):
    text = (TUTORIALS / f"{name}.md").read_text("utf-8")
    with ExitStack() as service:
        reader = Reader(service)
        # What is to be done after the service has been stopped is done after it.
        before, stopped, after = text.partition("Stop the service first")
        commands = reader.follow(before)
        service.close()
        commands += reader.follow(after) if stopped else 0
    assert commands >= 6
