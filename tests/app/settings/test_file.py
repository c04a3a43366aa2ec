"""The settings file: which one counts, what comes first, and what is refused."""

import os
from pathlib import Path

import pytest

from app.settings import Settings, SettingsFileUnusable
from app.settings.file import NAME


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("ATTRIBUTION_DATA", str(folder))
    return folder


def write(folder: Path, text: str, name: str = NAME) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_of_the_data_folder_is_read_and_the_environment_wins(data, monkeypatch):
    path = write(data, 'port = 9001\nalpha = 0.05\nlog_level = "WARNING"\n')
    monkeypatch.setenv("ATTRIBUTION_ALPHA", "0.02")
    settings = Settings(query_rate=7)
    assert (settings.port, settings.alpha, settings.log_level) == (9001, 0.02, "warning")
    assert (settings.query_rate, settings.file) == (7, path)
    assert Settings(port=9002).port == 9002
    assert Settings(data=data.parent).port == 8000


def test_a_file_that_is_named_counts_alone_and_its_paths_begin_where_it_lies(data, monkeypatch):
    write(data, "port = 9001\n")
    named = write(
        data.parent, 'data = "held"\nencoder = "runs/mine"\nsigning_key = "/key"\n', "a.toml"
    )
    monkeypatch.setenv("ATTRIBUTION_CONFIG", str(named))
    assert Settings().port == 8000
    assert Settings().data == data, "the environment comes first"
    monkeypatch.delenv("ATTRIBUTION_DATA")
    settings = Settings()
    assert settings.data == data.parent / "held"
    assert settings.encoder == str(data.parent / "runs/mine")
    assert (settings.signing_key, settings.file) == (Path("/key"), named)
    assert settings.names_encoder
    monkeypatch.setenv("ATTRIBUTION_CONFIG", str(data / "gone.toml"))
    with pytest.raises(SettingsFileUnusable, match="there is no such file"):
        Settings()


def test_lists_and_the_mark_of_an_editor_are_read(data):
    write(data, '\ufeffcors_origins = ["https://a.example", "https://b.example"]\n')
    assert Settings().cors_origins == "https://a.example https://b.example"


def test_none_is_looked_for_in_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path, "port = 9001\n")
    monkeypatch.chdir(tmp_path)
    assert Settings().port == 8000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1\n", "sets prot, which is no setting; did you mean port?"),
        ("ATTRIBUTION_PORT = 1\n", "did you mean port?"),
        ("wholly_unknown_thing = 1\n", "docs/settings.md lists them all"),
        ("[limits]\nport = 1\n", "sets limits, which is no setting"),
        ("port = true\n", "sets port to true, which is no yes or no"),
        ("a = " + "[" * 5000, "is no TOML"),
        ("port = \n", "is no TOML: Invalid value (at line 1, column 8)"),
        ('data = "elsewhere"\n', "sets data, and cannot say where it lies itself"),
        ('config = "other.toml"\n', "sets config, and cannot say"),
    ],
)
def test_what_it_may_not_say_is_refused_with_its_name(data, text, said):
    path = write(data, text)
    with pytest.raises(SettingsFileUnusable) as refused:
        Settings()
    assert str(refused.value).startswith(str(path))
    assert said in str(refused.value)


def test_one_that_others_may_write_is_refused(data, monkeypatch):
    path = write(data, "port = 9001\n")
    path.chmod(0o646)
    with pytest.raises(SettingsFileUnusable, match="chmod o-w"):
        Settings()
    path.chmod(0o644)
    assert Settings().port == 9001
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    if path.stat().st_uid == 0:  # of root, whom everybody trusts
        os.chown(path, 4712, -1)
    with pytest.raises(SettingsFileUnusable, match="belongs to another user"):
        Settings()


def test_a_value_out_of_range_is_named_with_its_file(data, attribution_cli):
    path = write(data, "alpha = 7\n")
    done = attribution_cli("query", "a.jpg")
    assert done.code == 2
    assert done.err.startswith(f"alpha in {path} is 7: Input should be less than or equal to 0.5")
    assert "Traceback" not in done.err
    path.write_text("alhpa = 0.1\n")
    done = attribution_cli("query", "a.jpg")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"{path} sets alhpa, which is no setting; did you mean alpha?" in done.err


@pytest.fixture
def attribution_cli():
    from tests.support.terminal import call  # noqa: PLC0415

    return call
