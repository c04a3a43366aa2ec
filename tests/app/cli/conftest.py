"""The command line, and pictures for it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.encoders import make_encoder
from tests.support.forks import Fork, command
from tests.support.pictures import draw
from tests.support.terminal import Finished, call


@pytest.fixture(scope="session")
def attribution() -> Callable[..., Finished]:
    return call


@pytest.fixture(scope="session")
def launch() -> Callable[..., Fork]:
    return command


@pytest.fixture(scope="session")
def draw_pictures() -> Callable[[Path, range], Path]:
    return draw


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory) -> Path:
    """The folder of an encoder that loads at once and sees little."""
    folder = tmp_path_factory.mktemp("encoder") / "small"
    make_encoder(folder, 1)
    return folder


@pytest.fixture
def small_encoder_in_settings(_no_settings_from_outside, monkeypatch, small_encoder) -> None:
    """For modules in which it does not matter how much the encoder sees, and for `held`."""
    monkeypatch.setenv("ATTRIBUTION_ENCODER", str(small_encoder))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six pictures and one file that is none."""
    folder = draw(tmp_path / "pictures", range(6))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    return folder


@pytest.fixture(scope="session")
def held(tmp_path_factory, small_encoder) -> Path:
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
    done = call("ingest", manifest, "--data", folder / "data", "--encoder", small_encoder)
    assert done.code == 0, done.err
    return folder / "data"
