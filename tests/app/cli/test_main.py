"""`attribution` itself: help that teaches, and failures that are one line and an exit code."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app
from app.cli.examples import EXAMPLES
from app.cli.main import COMMANDS, whole_command
from app.version import service_version

TEACHES = {
    "demo": ("contact sheet", "--exit", "Ctrl-C"),
    "ingest": ("JSON Lines", "--collection", "Exits with 1 when a file was skipped"),
    "query": ("not an accusation", "--top-k", "one line an image"),
    "batch": ("--url", "images that have a line are left alone", "Exits with 1"),
    "report": ("docs/answers.md", "attribution report make --help", "verify", "new-key"),
    "explain": ("heat map", "accuses nobody", "--out"),
    "serve": ("docs/settings.md", "--port", "loopback", "--open"),
    "doctor": ("extras", "works beside a running service", "Exits with 1"),
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


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and every command in one, by its whole name."""
    for name in COMMANDS:
        whole = whole_command(name)
        yield name, whole
        for inner, each in getattr(whole, "commands", {}).items():
            yield f"{name} {inner}", each


def test_every_command_shows_an_example_that_its_options_accept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("captions.csv", "their-key.pub", "held-out-names.txt", "report.json"):
        (tmp_path / name).touch()
    names = dict(commands())
    assert set(EXAMPLES) == set(names)
    for name, whole in names.items():
        assert whole.epilog == f"Example: `{EXAMPLES[name]}`"
        first, top, *words = shlex.split(EXAMPLES[name])
        assert (first, top) == ("attribution", name.split()[0])
        command = names[top]
        while hasattr(command, "commands"):
            inner = words.pop(0) if words[0] in command.commands else "make"
            command = command.commands[inner]
        command.make_context(name, words)


def test_an_option_has_one_name_and_a_letter_one_meaning():
    meanings: dict[str, set[str]] = {}
    letters: dict[str, set[str]] = {}
    for name, whole in commands():
        for option in whole.params:
            long = [each for each in option.opts if each.startswith("--")]
            short = next(
                (each for each in option.opts if each.startswith("-") and each not in long), ""
            )
            for each in long:
                letters.setdefault(each, set()).add(short)
            if short:
                meanings.setdefault(short, set()).add(long[0])
        said = {each for option in whole.params for each in option.opts}
        assert "--gallery" not in said or "--data" in said, name
        assert "--from" not in said or "--encoder" in said, name
    assert all(len(named) == 1 for named in meanings.values()), meanings
    for option in ("--out", "--collection", "--top-k", "--reason", "--data", "--json"):
        assert len(letters[option]) == 1, (option, letters[option])


def test_the_version_is_told_with_nothing_heavy(attribution):
    for option in ("--version", "-V"):
        done = attribution(option)
        assert (done.code, done.out) == (0, f"attribution {service_version()}\n")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("attribution in", {"ingest", "index"}), ("attribution query --to", {"--top-k"})],
)
def test_a_shell_completes_commands_and_their_options(attribution, monkeypatch, line, wanted):
    monkeypatch.setenv("_ATTRIBUTION_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    done = attribution()
    assert wanted <= set(done.out.split())
    assert not done.err


HEAVY = {"torch", "faiss", "timm", "fastapi", "alembic", "sqlalchemy", "numpy", "PIL"}


BY_TORCH = {"calibrate", "evaluate", "generate", "train"}
"""Commands whose options take their bounds from what they run."""


THE_LIST = """
import app.cli.main as cli
sys.argv = ["attribution", "--help"]
try: cli.main()
except SystemExit: pass
"""
EVERY_COMMAND = f"""
import app.cli.main as cli
for name in sorted(set(cli.COMMANDS) - {BY_TORCH!r}): cli.whole_command(name)
"""


@pytest.mark.parametrize(
    ("work", "heavy"),
    [(THE_LIST, HEAVY | {"pydantic", "rich.console", "rich.markdown"}), (EVERY_COMMAND, HEAVY)],
    ids=["the list", "every command"],
)
def test_help_and_completion_need_nothing_heavy(work, heavy):
    script = f"import sys\n{work}\nprint({heavy!r} & set(sys.modules))\n"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_every_command_that_the_page_names_is_one():
    named = [
        line
        for file in (Path(app.__file__).parent / "web").glob("*.js")
        for line in re.findall("`attribution ([^`]+)`", file.read_text())
    ]
    assert len(named) > 4
    for line in named:
        name, *arguments = shlex.split(line)
        whole_command(name).make_context(name, arguments)  # raises what the terminal would


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
    monkeypatch.setattr("attribution.opening.load.load_by_engine", _interrupt)
    done = attribution("ingest", pictures)
    assert done.code == 130
    assert done.err == ("interrupted; what was written is kept\n")


def _interrupt(*args, **options):
    raise KeyboardInterrupt
