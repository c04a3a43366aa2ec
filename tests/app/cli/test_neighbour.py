"""A service on the data folder is asked for what this process would answer, and nothing else."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from app.settings import Settings
from attribution.folder_lock import Listening, listening_on
from attribution.report.document import Report
from tests.support.service import serving

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


@pytest.fixture
def data(held, tmp_path):
    return shutil.copytree(held, tmp_path / "data", ignore=shutil.ignore_patterns("service.lock"))


@pytest.fixture
def image(held):
    return held.parent / "004.jpg"


@pytest.fixture
def query(attribution, data):
    def ask(*arguments):
        return attribution("query", *arguments, "--json", "--data", data)

    return ask


@contextmanager
def running(data, **settings):
    """A service on the folder, which tells where it listens as `attribution serve` does."""
    with serving(Settings(data=data, **settings), None) as service:
        service.service.listens_at(service.url)
        yield service


@pytest.fixture
def never_here(monkeypatch):
    """Fails where the answer is looked for in this process."""
    return lambda: monkeypatch.setattr("app.cli.asking.open_for_asking", pytest.fail)


def test_it_gives_the_answer_that_this_process_gives(query, data, image, never_here):
    alone = query(image, "-k", "3", "-c", "even")
    assert not alone.err
    with running(data):
        never_here()
        asked = query(image, "-k", "3", "-c", "even")
    assert asked.code == 0
    assert asked.err.startswith("answered by the service at http://127.0.0.1:")
    ours, theirs = alone.document, asked.document
    for each in (ours, theirs):
        for source in each["sources"]:
            source["score"] = pytest.approx(source["score"], abs=1e-4)
            source["share"] = pytest.approx(source["share"], abs=1e-4)
        for share in ("other_share", "unattributed_share"):
            each[share] = pytest.approx(each[share], abs=1e-4)
    assert ours == theirs


def test_it_has_seen_every_write_before_the_question(query, data, image, attribution, tmp_path):
    with running(data, follow_seconds=3600):
        folder = tmp_path / "more"
        folder.mkdir()
        shutil.copy(image, folder / "again.jpg")
        done = attribution("ingest", folder, "-c", "late", "--data", data, "--json")
        asked = query(image, "-c", "late")
    assert "answered by the service" in asked.err
    assert asked.document["index_generation"] == done.document["generation"]
    assert asked.document["sources"][0]["uri"].endswith("again.jpg")


def test_a_key_that_it_wants_and_does_not_get_means_that_it_is_not_asked(
    query, data, image, attribution, tmp_path, never_here
):
    made = attribution("keys", "create", "ours", "-s", "query", "--data", data).out.strip()
    limited = attribution("keys", "create", "theirs", "-c", "odd", "--data", data).out.strip()
    keys = {}
    for name, key in (("ours", made), ("limited", limited), ("wrong", "attr_no")):
        keys[name] = tmp_path / f"{name}.key"
        keys[name].write_text(f"{key}\n")
    with running(data):
        for arguments, said in (
            ([], "wants a key (--key-file)"),
            (["--key-file", keys["wrong"]], "refuses the key"),
            (["--key-file", keys["limited"]], "does not reach everything"),
        ):
            done = query(image, *arguments)
            assert done.code == 0
            assert said in done.err
            assert done.document["sources"][0]["uri"] == "picture:4"
        never_here()
        done = query(image, "--key-file", keys["ours"])
        assert "answered by" in done.err
        assert done.document["sources"][0]["uri"] == "picture:4"


def test_what_it_refuses_is_said_in_the_words_of_this_process(query, data, image, pictures):
    asked = [
        (pictures / "broken.jpg", image, pictures / "absent.jpg"),
        (image, "-c", "nowhere"),
        (image, "--alpha", "1e-9"),
    ]
    alone = [query(*arguments) for arguments in asked]
    with running(data):
        beside = [query(*arguments) for arguments in asked]
    for ours, theirs in zip(alone, beside, strict=True):
        said = [line for line in theirs.err.splitlines() if "answered by" not in line]
        assert (theirs.code, said) == (ours.code, ours.err.splitlines())
    [answer] = map(json.loads, beside[0].out.splitlines())
    assert answer["sources"][0]["uri"] == "picture:4"


def test_an_encoder_named_here_is_not_looked_for_there(query, data, image, small_encoder):
    with running(data):
        assert "service" not in query(image, "--encoder", small_encoder).err


def test_one_with_other_settings_is_not_asked(query, data, image, monkeypatch):
    with running(data):
        monkeypatch.setenv("ATTRIBUTION_ENCODER", "bundled")
        done = query(image)
    assert "has another encoder or database set" in done.err


@pytest.mark.parametrize("wrong", ["url", "instance"])
def test_one_that_is_gone_is_passed_over_in_silence(query, data, image, wrong):
    with running(data) as service:
        there = listening_on(data)
        told = Listening(
            "http://127.0.0.1:9" if wrong == "url" else there.url,
            "another" if wrong == "instance" else there.instance,
            there.answers_by,
        )
        service.service.folder.listens(told)
        done = query(image)
    assert (done.code, done.err) == (0, "")
    assert done.document["sources"][0]["uri"] == "picture:4"


def test_a_question_that_it_answers_loads_no_network_and_no_catalog_here(data, image):
    heavy = ("torch", "numpy", "sqlalchemy", "alembic", "faiss", "timm", "fastapi", "PIL")
    script = (
        "import sys; sys.argv = ['attribution', *sys.argv[1:]]\n"
        "from app.cli.main import main\n"
        "try: main()\n"
        f"finally: print([name for name in {heavy} if name in sys.modules])\n"
    )
    with running(data):
        done = subprocess.run(
            [sys.executable, "-c", script, "query", str(image), "--data", str(data)],
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert "answered by the service" in done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_explanation_from_it_is_the_same_picture_and_says_the_same(
    attribution, data, image, tmp_path, never_here
):
    def explain(name):
        made = tmp_path / name
        done = attribution("explain", image, "--data", data, "--out", made, "--json")
        assert done.code == 0, done.err
        with Image.open(made) as picture:
            return done, np.asarray(picture.convert("RGB"), dtype=np.int16)

    alone, ours = explain("alone.png")
    with running(data):
        never_here()
        asked, theirs = explain("asked.png")
    assert "answered by the service" in asked.err
    said = {**alone.document, "picture": str(tmp_path / "asked.png")}
    assert asked.document["regions"]
    assert asked.document == said
    assert np.abs(ours - theirs).max() <= 2  # a similarity on the border between two steps


def test_a_report_from_it_is_signed_here_and_reports_the_same(
    attribution, data, image, tmp_path, never_here
):
    assert attribution("report", "new-key", tmp_path / "key.pem").code == 0

    def report(name):
        made = [tmp_path / f"{name}{suffix}" for suffix in (".json", ".html", ".pdf")]
        done = attribution(
            *("report", image, "--data", data, "--signing-key", tmp_path / "key.pem"),
            *(argument for path in made for argument in ("--out", path)),
        )
        assert done.code == 0, done.err
        assert all(path.stat().st_size for path in made)
        return done, Report.model_validate_json(made[0].read_bytes())

    alone, ours = report("alone")
    with running(data):
        never_here()
        asked, theirs = report("asked")
    assert "answered by the service" in asked.err
    assert asked.out.splitlines()[0] == alone.out.splitlines()[0]
    verified = attribution(
        "report", "verify", tmp_path / "asked.json", "--public-key", tmp_path / "key.pem.pub"
    )
    assert verified.code == 0
    same = ("query", "searched", "method", "decision", "calibration", "statement", "request_id")
    for field in same:
        assert getattr(theirs, field) == getattr(ours, field), field
    assert [each.source_id for each in theirs.sources] == [each.source_id for each in ours.sources]
    assert theirs.sources[0].maps == ours.sources[0].maps
