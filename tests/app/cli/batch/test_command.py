"""`attribution batch`: a line an image, nothing asked twice, here and by a service's jobs."""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from app.settings import Settings
from tests.support.answering import answering
from tests.support.pictures import jpeg, picture
from tests.support.service import serving

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def results(tmp_path):
    return tmp_path / "out" / "results.jsonl"


def test_a_folder_becomes_a_line_an_image(attribution, held, pictures, results):
    done = attribution("batch", pictures, "--out", results, "--data", held, "-k", "2")
    assert done.code == 1, "one of them is broken"
    assert "7 images, 1 with a problem" in done.out
    rows = {row["path"]: row for row in lines(results)}
    assert set(rows) == {str(path) for path in pictures.iterdir()}
    assert rows[str(pictures / "broken.jpg")]["problem"]["status"] in {415, 422}
    for seed in range(6):
        answer = rows[str(pictures / f"{seed:03d}.jpg")]["attribution"]
        assert answer["sources"][0]["uri"] == f"picture:{seed}"
        assert len(answer["sources"]) == 2


def test_run_again_it_asks_only_for_what_is_missing(
    attribution, held, pictures, results, monkeypatch
):
    (pictures / "broken.jpg").unlink()
    assert attribution("batch", pictures, "--out", results, "--data", held).code == 0
    whole = results.read_bytes()
    first, second = whole.splitlines(keepends=True)[:2]
    results.write_bytes(first + second[:40])  # as a crash leaves it
    assert attribution("batch", pictures, "--out", results, "--data", held).code == 0
    assert len(lines(results)) == 6
    assert results.read_bytes().startswith(first)
    monkeypatch.setattr("app.cli.asking.load_vision", pytest.fail)
    assert attribution("batch", pictures, "--out", results, "--data", held).code == 0
    assert len(lines(results)) == 6


@pytest.mark.parametrize("text", ['{"title": "my notes"}\n', "notes without an end", "x"])
def test_a_file_of_something_else_is_left_alone(attribution, held, pictures, results, text):
    results.parent.mkdir()
    results.write_text(text)
    done = attribution("batch", pictures, "--out", results, "--data", held)
    assert done.code == 2
    assert "--out" in done.err
    assert results.read_text() == text


def test_results_go_to_no_device_which_may_be_read_without_end(attribution, held, pictures):
    done = attribution("batch", pictures, "--out", "/dev/full", "--data", held)
    assert done.code == 2
    assert "/dev/full is no regular file: name another with --out" in done.err


@pytest.fixture
def service(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr("app.cli.batch.remote._POLL_SECONDS", 0.01)
    with serving(Settings(data=tmp_path / "service"), encoder) as running:
        yield running


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(9):
        (folder / f"{seed}.jpg").write_bytes(jpeg(picture(seed)))
    return folder


def test_a_service_answers_by_jobs_and_keeps_none(attribution, service, many, results, monkeypatch):
    monkeypatch.setattr("app.cli.batch.remote.LOT_IMAGES", 4)
    for seed in range(9):
        service.add(seed)
    (many / "3.jpg").write_bytes(b"no image")
    done = attribution("batch", many, "--out", results, "--url", service.url, "-k", "1")
    assert done.code == 1, done.err
    rows = {row["path"]: row for row in lines(results)}
    assert len(rows) == len(lines(results)) == 9
    for seed in set(range(9)) - {3}:
        [source] = rows[str(many / f"{seed}.jpg")]["attribution"]["sources"]
        assert source["uri"] == f"{seed}.jpg"
    assert rows[str(many / "3.jpg")]["problem"]["type"] == "/problems/unsupported-image"
    assert not [
        path for path in (service.service.settings.data / "jobs").iterdir() if path.is_dir()
    ]
    with service.service.catalog._database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar() == 0


def test_an_interrupted_run_finds_the_job_that_it_has_sent(
    attribution, service, many, results, monkeypatch
):
    made = []
    create = service.service.catalog.jobs.create

    def watched(*arguments, **options):
        created = create(*arguments, **options)
        made.append(created)
        return created

    monkeypatch.setattr(service.service.catalog.jobs, "create", watched)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("app.cli.batch.remote._results", interrupt)
        done = attribution("batch", many, "--out", results, "--url", service.url)
    assert done.code == 130
    assert lines(results) == []
    done = attribution("batch", many, "--out", results, "--url", service.url)
    assert done.code == 0, done.err
    assert len(lines(results)) == 9
    assert [created.created for created in made] == [True, False]
    assert made[0].job.job_id == made[1].job.job_id


def test_a_service_that_refuses_says_why(attribution, service, many, results):
    done = attribution("batch", many, "--out", results, "--url", service.url, "-c", "nowhere")
    assert done.code == 1
    assert "there is no collection 'nowhere'" in done.err
    assert done.err.count("\n") == 1


def test_a_service_out_of_reach(attribution, many, results, monkeypatch):
    monkeypatch.setattr("app.cli.batch.remote._PATIENCE_SECONDS", 0.1)
    done = attribution("batch", many, "--out", results, "--url", "http://127.0.0.1:9")
    assert done.code == 1
    assert "cannot be reached" in done.err
    assert attribution("batch", many, "--out", results, "--url", "127.0.0.1").code == 2


def test_every_item_has_a_line_whatever_stands_beside_it(attribution, service, tmp_path, results):
    service.add(0)
    folder = tmp_path / "mixed"
    folder.mkdir()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inside.jpg", jpeg(picture(0)))
    (folder / "b.jpg").write_bytes(archive.getvalue())
    (folder / "a.jpg").write_bytes(jpeg(picture(0)))
    unspeakable = os.fsencode(folder) + b"/caf\xe9.jpg"
    Path(os.fsdecode(unspeakable)).write_bytes(jpeg(picture(1)))
    missing = tmp_path / "missing.jpg"
    for url in ([], ["--url", service.url]):
        where = results.with_name(f"{len(url)}.jsonl")
        data = service.service.settings.data
        done = attribution("batch", folder, missing, "--out", where, "--data", data, *url)
        assert done.code == 1, done.err
        assert str(missing) in done.err
        rows = {row["path"]: row for row in lines(where)}
        assert len(rows) == len(lines(where)) == 3
        assert rows[str(folder / "b.jpg")]["problem"]["type"] == "/problems/unsupported-image"
        assert "attribution" in rows[str(folder / "a.jpg")]
        assert "attribution" in rows[os.fsdecode(unspeakable)]
        again = attribution("batch", folder, "--out", where, "--data", data, *url)
        assert again.code == 1
        assert len(lines(where)) == 3


def test_an_archive_alone_is_no_answer_about_what_is_in_it(attribution, service, tmp_path, results):
    with zipfile.ZipFile(tmp_path / "only.jpg", "w") as file:
        for seed in range(2):
            file.writestr(f"{seed}.jpg", jpeg(picture(seed)))
    done = attribution("batch", tmp_path / "only.jpg", "--out", results, "--url", service.url)
    assert done.code == 1
    [row] = lines(results)
    assert row["problem"]["type"] == "/problems/unsupported-image"


def test_a_lot_that_is_too_large_goes_again_in_halves(
    attribution, encoder, tmp_path, many, results, monkeypatch
):
    monkeypatch.setattr("app.cli.batch.remote._POLL_SECONDS", 0.01)
    settings = Settings(data=tmp_path / "small", max_job_images=2)
    with serving(settings, encoder) as running:
        done = attribution("batch", many, "--out", results, "--url", running.url)
    assert done.code == 0, done.err
    assert len({row["path"] for row in lines(results)}) == len(lines(results)) == 9


def test_an_image_that_no_request_can_hold_has_its_line(attribution, service, many, results):
    (many / "4.jpg").write_bytes(b"\xff\xd8\xff")
    with (many / "4.jpg").open("r+b") as file:
        file.truncate(300_000_000)  # of which the disk holds three bytes
    done = attribution("batch", many, "--out", results, "--url", service.url)
    assert done.code == 1
    rows = {row["path"]: row for row in lines(results)}
    assert len(rows) == 9
    assert rows[str(many / "4.jpg")]["problem"]["type"] == "/problems/image-too-large"


def test_where_the_service_sends_on_the_images_and_the_key_do_not_go(
    attribution, many, results, monkeypatch
):
    monkeypatch.setenv("ATTRIBUTION_API_KEY", "attr_not_a_real_key")
    elsewhere = (302, {"Location": "http://example.org/v1/jobs"}, b"")
    with answering((200, {}, b"{}"), elsewhere) as (plain, seen):
        done = attribution("batch", many, "--out", results, "--url", str(plain.base_url))
    assert done.code == 1
    assert "the service answers 302; is this address its own?" in done.err
    assert len(seen) == 2


def test_the_key_of_the_environment_is_sent_and_never_shown(
    attribution, service, many, results, monkeypatch
):
    key = service.service.catalog.keys.create("batch", scopes={"query"}).token
    done = attribution("batch", many, "--out", results, "--url", service.url)
    assert done.code == 1
    assert "the service answers 401" in done.err
    monkeypatch.setenv("ATTRIBUTION_API_KEY", key)
    done = attribution("batch", many, "--out", results, "--url", service.url)
    assert done.code == 0, done.err
    assert len(lines(results)) == 9
    assert key not in done.out + done.err + repr(Settings())
