"""`attribution` itself: help that teaches, and failures that are one line and an exit code."""

import subprocess
import sys

import pytest

from app.cli.main import COMMANDS, whole_command

TEACHES = {
    "demo": ("contact sheet", "--exit", "Ctrl-C"),
    "ingest": ("JSON Lines", "--collection", "Exits with 1 when a file was skipped"),
    "query": ("not an accusation", "--top-k", "one line an image"),
    "batch": ("--url", "images that have a line are left alone", "Exits with 1"),
    "report": ("docs/answers.md", "attribution report make --help", "verify", "new-key"),
    "explain": ("heat map", "accuses nobody", "--out"),
    "serve": ("docs/settings.md", "--port", "loopback"),
    "calibrate": ("Nothing has to be labelled", "--manifest", "beside a service"),
    "index": ("--rebuild", "--save", "generation"),
    "takedown": ("--reason", "--lift", "in all collections", "Exits with 1 when a name"),
    "compact": ("room for a second one", "beside a running service", "Exits with 1"),
    "verify": ("--repair", "Reads everything", "Exits with 1 when something is wrong"),
    "backup": ("tombstones", "it must not exist", "Exits with 1"),
    "restore": ("--force", "What was taken down in the folder stays down", "Stop the service"),
    "engine": ("build", "show", "extra onnx", "ATTRIBUTION_ENGINE", "within 1e-4"),
    "reembed": ("previews", "--activate", "--back", "full coverage only", "--drop", "Exits with 1"),
    "keys": ("create", "list", "revoke", "shown once", "beside a running service"),
    "webhooks": ("list", "retry", "forget", "secret", "docs/webhooks.md"),
    "generate": ("manifest.jsonl", "--pairs", "no network"),
    "train": ("without labels", "--background", "OUT/encoder"),
    "evaluate": ("docs/evaluation.md", "own-exemplars", "95 % interval", "--decisions"),
}


def flat(text: str) -> str:
    """Help without its boxes and line breaks."""
    return " ".join(word for word in text.split() if not set(word) <= set("│╭╮╰╯─"))


def test_help_lists_every_command_and_where_to_start(attribution):
    done = attribution("--help")
    assert done.code == 0
    for name, first_line in COMMANDS.items():
        assert name in done.out
        assert first_line.split()[0] in done.out
    assert "Start with attribution demo" in flat(done.out)


def test_the_list_of_commands_says_what_each_says_itself():
    for name, first_line in COMMANDS.items():
        assert whole_command(name).help.splitlines()[0] == first_line


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_teaches(attribution, command):
    done = attribution(command, "--help")
    assert done.code == 0
    text = flat(done.out).replace("`", "")
    for phrase in TEACHES[command]:
        assert phrase in text
    assert COMMANDS[command] in text


HEAVY = {"torch", "faiss", "timm", "fastapi", "alembic", "sqlalchemy", "numpy", "PIL"}


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        ((), HEAVY | {"pydantic", "rich.console", "rich.markdown"}),
        (("query",), HEAVY),
        (("explain",), HEAVY),
        (("report",), HEAVY),
        (("keys",), HEAVY - {"sqlalchemy", "numpy"}),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_help_needs_nothing_heavy(arguments, heavy):
    script = (
        f"import sys; sys.argv = ['attribution', *{arguments!r}, '--help']\n"
        "from app.cli.main import main\n"
        "try: main()\n"
        f"finally: print({heavy!r} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"


def test_an_unknown_command_or_option_is_exit_code_2(attribution):
    for arguments in (["qeury"], ["query", "--tpo-k", "3"], ["query"]):
        done = attribution(*arguments)
        assert done.code == 2, arguments
        assert "Traceback" not in done.err
        assert not done.out


def test_a_bad_variable_is_named_and_is_exit_code_2(attribution, monkeypatch, pictures):
    monkeypatch.setenv("ATTRIBUTION_ALPHA", "7")
    done = attribution("query", pictures / "000.jpg")
    assert done.code == 2
    assert done.err == (
        "ATTRIBUTION_ALPHA is '7': Input should be less than or equal to 0.5 (docs/settings.md)\n"
    )


def test_a_misspelt_variable_is_named_and_is_exit_code_2(attribution, monkeypatch, pictures):
    monkeypatch.setenv("ATTRIBUTION_ALHPA", "0.05")
    done = attribution("ingest", pictures)
    assert done.code == 2
    assert "did you mean ATTRIBUTION_ALPHA?" in done.err
    assert done.err.count("\n") == 1


def test_a_backbone_without_weights_says_how_to_provide_them(
    attribution, monkeypatch, tmp_path, pictures
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    done = attribution("ingest", pictures, "--encoder", "dino-vits16", "--data", tmp_path / "data")
    assert done.code == 1
    assert "dino_deitsmall16_pretrain.pth" in done.err
    assert "--weights PATH" in done.err
    assert "Traceback" not in done.err


def test_an_unknown_encoder_suggests_near_names(attribution, tmp_path, pictures):
    done = attribution("ingest", pictures, "--encoder", "dino-vits61", "--data", tmp_path / "data")
    assert done.code == 1
    assert "did you mean dino-vits16" in done.err


def test_ctrl_c_says_what_is_kept_and_is_exit_code_130(attribution, monkeypatch, pictures):
    monkeypatch.setattr("app.cli.ingest.load_by_engine", _interrupt)
    done = attribution("ingest", pictures)
    assert done.code == 130
    assert done.err == ("interrupted; what was written is kept\n")


def _interrupt(*args, **options):
    raise KeyboardInterrupt
