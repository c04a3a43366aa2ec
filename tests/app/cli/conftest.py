"""The command line, called in this process where that will do: importing torch costs seconds."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.cli.main import main


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """What --json printed: stdout must hold nothing else."""
        return json.loads(self.out)


def call(*arguments: object) -> Finished:
    """`attribution ARGUMENTS` in this process, by the function that the console script calls."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["attribution", *map(str, arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stop:
                code = stop.code or 0
    assert isinstance(code, int), code
    return Finished(code, out.getvalue(), err.getvalue())


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """`attribution ARGUMENTS` as a process of its own, with one thread and these variables."""
    inherited = {name: value for name, value in os.environ.items() if "ATTRIBUTION" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *map(str, arguments)],
        env=inherited | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def picture(seed: int, size: tuple[int, int] = (120, 96)) -> Image.Image:
    """Soft random colours: every seed another picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def draw(folder: Path, seeds: range) -> Path:
    """Write one JPEG a seed into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        picture(seed).save(folder / f"{seed:03d}.jpg", quality=90)
    return folder


@pytest.fixture(scope="session")
def attribution() -> Callable[..., Finished]:
    return call


@pytest.fixture(scope="session")
def launch() -> Callable[..., subprocess.Popen[str]]:
    return start


@pytest.fixture(scope="session")
def draw_pictures() -> Callable[[Path, range], Path]:
    return draw


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six pictures and one file that is none."""
    folder = draw(tmp_path / "pictures", range(6))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    return folder


@pytest.fixture(scope="session")
def held(tmp_path_factory) -> Path:
    """Data folder of a catalog with twelve pictures in two collections; read it, do not write."""
    folder = tmp_path_factory.mktemp("held")
    draw(folder, range(12))
    names = ["plain", "[/b] :cat: [red]loud", "été"]
    rows = [
        {
            "path": f"{seed:03d}.jpg",
            "title": names[seed % 3],
            "uri": f"picture:{seed}",
            "collection": "even" if seed % 2 == 0 else "odd",
        }
        for seed in range(12)
    ]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = call("ingest", manifest, "--data", folder / "data")
    assert done.code == 0, done.err
    return folder / "data"
