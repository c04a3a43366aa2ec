"""`attribution query`: a table for people, a line of JSON an image for machines."""

import json
import os
import weakref
from types import SimpleNamespace

import pytest
from PIL import Image

from app.cli.wording import decision_in_words
from attribution import asking
from attribution.catalog import Catalog
from tests.support.credentials import signed

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


@pytest.fixture
def query(attribution, held, monkeypatch):
    def ask(*arguments):
        return attribution("query", *arguments, "--data", held)

    return ask


@pytest.fixture
def image(held):
    def path(seed):
        return held.parent / f"{seed:03d}.jpg"

    return path


def test_a_p_value_is_seen_on_its_side_of_alpha():
    near = SimpleNamespace(reason=None, decision="no_source_found", p_value=0.010003, alpha=0.01)
    assert decision_in_words(near) == "no source found (p = 0.010003, alpha = 0.01)"


def test_the_table_names_the_source_first(query, image):
    done = query(image(0))
    assert done.code == 0
    assert "000.jpg: attributed (p = " in done.out
    [first] = [line for line in done.out.splitlines() if line.split()[1:2] == ["1"]]
    assert "plain (this very file)" in first
    assert first.split()[-2] == "yes"
    assert not done.err


def test_titles_are_shown_as_they_are_not_read_as_markup(query, image):
    done = query(image(1), "--top-k", "1")
    assert "[/b] :cat: [red]loud" in done.out


def test_what_an_image_says_of_itself_is_told_apart(query, image, tmp_path):
    said = signed(image(1).read_bytes(), {"title": "two\nlines"}, embedded=image(0).read_bytes())
    (tmp_path / "signed.jpg").write_bytes(said)
    lines = query(tmp_path / "signed.jpg", "--top-k", "1").out.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("content credentials"))
    assert "(valid), made by Maker [31m 3.1; a statement" in lines[place]
    assert lines[place + 1 :] == [
        "  made of two lines: not known to be held",
        "  made of whole.jpg: held here, plain",
    ]


def test_json_is_a_line_an_image_in_order(query, image):
    done = query(image(2), image(7), "--json", "-k", "3")
    assert done.code == 0
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [answer["path"] for answer in answers] == [str(image(2)), str(image(7))]
    for answer, seed in zip(answers, (2, 7), strict=True):
        assert answer["decision"] == "attributed"
        assert [source["rank"] for source in answer["sources"]] == [1, 2, 3]
        assert answer["sources"][0]["uri"] == f"picture:{seed}"
    assert answers[0]["sources"][0]["title"] == "été"


def test_an_unreadable_image_is_reported_and_the_others_are_answered(query, image, pictures):
    done = query(pictures / "broken.jpg", image(3), pictures / "absent.jpg", "--json")
    assert done.code == 1
    [answer] = map(json.loads, done.out.splitlines())
    assert answer["sources"][0]["uri"] == "picture:3"
    broken, absent = done.err.splitlines()
    assert "broken.jpg: " in broken
    assert "absent.jpg" in absent


def test_with_nothing_readable_no_encoder_is_loaded(query, pictures, monkeypatch):
    monkeypatch.setattr("app.cli.asking.load_vision", pytest.fail)
    done = query(pictures / "broken.jpg", "--json")
    assert (done.code, done.out) == (1, "")


def test_a_collection_narrows_the_search(query, image):
    done = query(image(4), "--json", "-c", "odd", "-k", "12")
    [answer] = map(json.loads, done.out.splitlines())
    assert {source["collection"] for source in answer["sources"]} == {"odd"}
    assert len(answer["sources"]) == 6


def test_an_unknown_collection_is_named(query, image):
    done = query(image(4), "-c", "nowhere")
    assert done.code == 1
    assert "there is no collection 'nowhere'" in done.err
    assert done.err.count("\n") == 1


def test_a_promise_for_this_background_takes_more(query, image):
    plain = query(image(0), "--json").document
    strict = query(image(0), "--json", "--guarantee", "background", "--alpha", "0.05").document
    assert (plain["guarantee"], strict["guarantee"]) == ("average", "background")
    assert plain["p_value"] < strict["p_value"]


def test_an_alpha_that_the_background_cannot_bear_out_is_refused(query, image):
    done = query(image(4), "--alpha", "0.000001")
    assert done.code == 1
    assert "smallest p-value" in done.err
    assert not done.out


def test_an_empty_catalog_answers_with_no_sources(attribution, image, tmp_path):
    Catalog.open(tmp_path / "empty").close()
    done = attribution("query", image(0), "--data", tmp_path / "empty", "--json")
    assert done.code == 0
    assert done.document["sources"] == []
    assert done.document["decision"] in {None, "no_source_found"}


def test_a_picture_within_a_picture_is_found_and_it_is_said(query, image, tmp_path):
    with Image.open(image(3)) as inner:
        whole = Image.new("RGB", (inner.width, inner.height * 2))
        whole.paste(inner, (0, inner.height // 2))
    whole.save(tmp_path / "barred.png")
    done = query(image(2), tmp_path / "barred.png", image(4), "--json")
    answers = [json.loads(line) for line in done.out.splitlines()]
    firsts = [answer["sources"][0]["uri"] for answer in answers]
    assert firsts == ["picture:2", "picture:3", "picture:4"]
    noted = [[note["code"] for note in answer["query"]["notes"]] for answer in answers]
    assert noted == [[], ["framed-picture"], []]


def test_a_picture_of_one_colour_is_told_as_such(query, image, tmp_path):
    Image.new("RGB", (80, 80), "black").save(tmp_path / "black.png")
    done = query(tmp_path / "black.png")
    assert "no source found: the image is of one colour" in done.out
    assert "picture:" not in done.out


def test_one_file_that_cannot_be_read_stops_no_other(query, image, tmp_path):
    pipe, gone = tmp_path / "pipe.jpg", tmp_path / "gone.jpg"
    os.mkfifo(pipe)
    done = query(image(0), pipe, tmp_path, gone, image(2), "--json")
    assert done.code == 1
    paths = [json.loads(line)["path"] for line in done.out.splitlines()]
    assert paths == [str(image(0)), str(image(2))]
    for path in (pipe, tmp_path, gone):
        assert str(path) in done.err
    assert len(done.err.splitlines()) == 3


def test_of_many_images_few_are_in_memory_at_a_time(query, image, monkeypatch):
    gone, alive = [], []
    read = asking.read_query

    def watched(path, limits, **options):
        found = read(path, limits, **options)
        weakref.finalize(found.decoded.image, gone.append, None)
        alive.append(1 + len(alive) - len(gone))
        return found

    monkeypatch.setattr(asking, "read_query", watched)
    done = query(*[image(seed % 12) for seed in range(150)], "--json")
    assert done.code == 0
    assert len(done.out.splitlines()) == len(alive) == 150
    assert max(alive) <= 3 * 16
