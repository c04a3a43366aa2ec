"""What leaves this repository: the wheel, the image, the pins, and what the documents promise."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.cli.main import COMMANDS
from app.settings import Settings
from app.settings.limits import PREFIX

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "attribution", "attribution_client", "models")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def copied_by_dockerfile():
    """Sources of the COPY lines that come from the build context."""
    lines = re.findall(r"^COPY\s+(?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def repository_files():
    """Files of a clone: those tracked, and those that would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def package_files():
    """Every file of the packages, relative to the repository."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in repository_files()
        if path.relative_to(ROOT).parts[0] in PACKAGES
    }


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The names in a wheel made, as the image makes it, from nothing but what Dockerfile copies."""
    context = tmp_path_factory.mktemp("image") / "src"
    context.mkdir()
    for source in copied_by_dockerfile():
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, context / source, ignore=ignored)
        else:
            shutil.copy(ROOT / source, context / source)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=context, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(context / "dist" / done.stdout.splitlines()[-1]) as archive:
        yield archive


def test_what_the_dockerfile_copies_exists_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().split()
    sources = copied_by_dockerfile()
    assert set(PACKAGES) < set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source not in ignored


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == package_files()


@pytest.mark.parametrize(
    "pattern",
    [
        r"models/bundled/encoder\.safetensors",
        r"models/bundled/background\.safetensors",
        r"models/bundled/card\.json",
        r"app/web/index\.html",
        r"app/web/.+\.css",
        r"app/web/.+\.js",
        r"attribution/catalog/migrations/env\.py",
        r"attribution/catalog/migrations/versions/r0001_.+\.py",
        r"(app|attribution|attribution_client|models)/py\.typed",
    ],
)
def test_the_wheel_holds_what_is_needed_at_run_time(wheel, pattern):
    assert any(re.fullmatch(pattern, name) for name in wheel.namelist())


def test_the_wheel_brings_the_console_script_and_the_licence(wheel):
    [scripts] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert b"attribution = app.cli.main:main" in wheel.read(scripts)
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_bundled_weights_are_as_small_as_promised():
    assert (ROOT / "models" / "bundled" / "encoder.safetensors").stat().st_size <= 12_000_000


def test_every_dependency_is_pinned():
    pins = {
        canonicalize_name(requirement.name): requirement
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if (requirement := Requirement(line))
    }
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for text in (text for group in groups for text in group):
        wanted = Requirement(text)
        if canonicalize_name(wanted.name) == PROJECT["name"]:
            continue
        pin = pins[canonicalize_name(wanted.name)]
        [version] = [clause.version for clause in pin.specifier if clause.operator == "=="]
        assert wanted.specifier.contains(version), f"{pin} is outside {wanted}"


WITHOUT_EXTRAS = """
import sys
from importlib import import_module

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Absent())
import_module("app.factory")
from app.cli.main import COMMANDS, whole_command
for name in COMMANDS:
    whole_command(name)
import_module("app.cli.asking")
import_module("app.cli.batch.remote")
import_module("attribution.calibration.shares.fitting")
"""


def test_who_serves_needs_no_extra():
    """The service and every command are imported without what only extras bring."""
    brought, waiting = set(), list(PROJECT["dependencies"])
    while waiting:
        wanted = Requirement(waiting.pop())
        name = canonicalize_name(wanted.name)
        if name in brought or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        brought.add(name)
        waiting += requires(name) or []
    absent = {
        module
        for module, owners in packages_distributions().items()
        if not brought & {canonicalize_name(owner) for owner in owners}
    } - {*PACKAGES, "tests", "benchmarks"}
    assert {"matplotlib", "skimage"} <= absent
    command = [sys.executable, "-c", WITHOUT_EXTRAS, ",".join(sorted(absent))]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_pins_name_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"://|@|^\s*-|^\s*#", text, re.MULTILINE)


def test_no_file_names_a_package_host():
    # In pieces, so that this file is none of those it looks for.
    hosts = [
        "py" + "pi." + "org",
        "python" + "hosted",
        "ana" + "conda",
        "download." + "pytorch",
        "arti" + "factory",
        "npm" + "js.",
        "js" + "delivr",
        "un" + "pkg.com",
        "trusted" + "-host",
    ]
    forbidden = re.compile("|".join(map(re.escape, hosts)).encode(), re.IGNORECASE)
    binary = {".safetensors", ".png", ".jpg"}
    for path in repository_files():
        if path.suffix in binary:
            continue
        found = forbidden.search(path.read_bytes())
        assert found is None, f"{path.relative_to(ROOT)} names {found[0]!r}"


def test_make_targets_that_documents_name_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        named = re.findall(r"(?:^\$ |`|&& )make ([a-z]+)", document.read_text(), re.MULTILINE)
        assert set(named) <= targets, document.name
    assert {"demo", "test", "check", "serve", "format"} <= targets


STUB = """#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/uv"
    test "$NO_VENV" = 0 && touch "$3/bin/pip" ;;
  "-m pip") test -e "${0%python}pip" ;;
  "pip install") echo "backend $UV_TORCH_BACKEND" >> uv.log
    case "$FAILS" in
      *"<$UV_TORCH_BACKEND>"*) echo "no disk for $UV_TORCH_BACKEND" >&2; exit 2 ;;
    esac
esac
"""


@pytest.mark.parametrize(
    ("variables", "asked", "told"),
    [
        ({}, ["auto"], []),
        ({"FAILS": "<auto>"}, ["auto", ""], ["default one"]),
        ({"FAILS": "<auto><>"}, ["auto", ""], ["default one", "no disk for auto", "Error 1"]),
        ({"FAILS": "<cpu>", "UV_TORCH_BACKEND": "cpu"}, ["cpu"], ["no disk for cpu", "Error 2"]),
        ({"NO_VENV": "1"}, None, ["python3-venv", "Error 1"]),
    ],
)
def test_a_first_installation_tells_what_went_wrong(tmp_path, variables, asked, told):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    stub = tmp_path / "python3"
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "NO_VENV": "0", "LC_ALL": "C"}

    def made(**variables):
        return subprocess.run(
            ["make", f"PYTHON={stub}", ".venv/.serving"], cwd=tmp_path,
            env=environment | variables, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = made(**variables)
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == any("Error" in each for each in told), output
    for each in told:
        assert each in output
    if asked is None:
        assert (tmp_path / ".venv/bin/python").exists()  # without pip, as Debian's venv leaves it
        assert made().returncode == 0
    else:
        log = (tmp_path / "uv.log").read_text()
        assert log == "".join(f"backend {each}\n" for each in asked)


def test_commands_that_documents_name_exist():
    for document in DOCUMENTS:
        named = re.findall(r"(?:^\$ |`)attribution ([a-z]+)", document.read_text(), re.MULTILINE)
        assert set(named) <= set(COMMANDS), document.name


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / "Dockerfile", ROOT / "models/published/specs.py"]
)
def test_variables_that_documents_name_exist(path):
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = set(re.findall(rf"{PREFIX}[A-Z0-9_]*[A-Z0-9]", path.read_text()))
    assert named <= known, named - known
