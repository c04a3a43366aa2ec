"""Queries over HTTP: answers, bad input, batches, concurrency."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageDraw

from attribution.looks import WHOLE
from tests.support.jobs import finished, read
from tests.support.pictures import jpeg, picture, png, variation

SEEDS = range(30)


@pytest.fixture(scope="module")
def gallery(shared):
    """Thirty sources, of which ten also live in a collection of their own."""
    shared.client.put("/v1/collections/few", json={"description": "ten of them"})
    ids = {seed: shared.add(seed)["source"]["source_id"] for seed in SEEDS}
    for seed in range(10):
        shared.add(seed, collection="few")
    return ids


def huge_png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(header))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
    )


def test_a_variation_is_attributed_to_its_source(shared, gallery):
    answer = shared.ask(variation(3), collection="default")
    first = answer["sources"][0]
    assert first["source_id"] == gallery[3]
    assert (first["rank"], first["attributed"], first["uri"]) == (1, True, "3.jpg")
    assert answer["decision"] == "attributed"
    assert answer["p_value"] <= answer["alpha"] == 0.01
    assert answer["calibration"]["state"] == "fresh"
    assert answer["query"]["width"] == 96
    assert answer["query"]["format"] == "jpeg"
    shares = sum(source["share"] for source in answer["sources"])
    assert shares + answer["other_share"] + answer["unattributed_share"] == pytest.approx(1)
    assert answer["index_generation"] == shared.service.catalog.generation()
    stages = {"decode", "queue", "encode", "search_queue", "search", "explain", "total"}
    assert set(answer["timings_ms"]) == stages
    thumbnail = shared.client.get(first["thumbnail_url"])
    assert thumbnail.headers["content-type"] == "image/jpeg"


def test_a_stranger_has_no_source_but_still_a_ranking(shared, gallery):
    answer = shared.ask(jpeg(picture(777_777)), top_k=7, collection="default")
    assert answer["decision"] == "no_source_found"
    assert len(answer["sources"]) == 7
    assert not any(source["attributed"] for source in answer["sources"])


def test_the_raw_body_gets_the_same_answer_as_the_form(shared, gallery):
    data = variation(5)
    response = shared.client.post(
        "/v1/attributions", content=data, headers={"Content-Type": "image/jpeg"}
    )
    assert response.status_code == 200
    assert response.json()["sources"] == shared.ask(data)["sources"]


def test_collections_limit_what_is_searched(shared, gallery):
    answer = shared.ask(variation(20), collection="few", top_k=100)
    assert {source["collection"] for source in answer["sources"]} == {"few"}
    assert len(answer["sources"]) == 10
    both = shared.ask(variation(20), collection=["few", "default"], top_k=100)
    assert len(both["sources"]) == 30  # ten pictures are held in both
    assert sum(1 + len(source["copies"]) for source in both["sources"]) == 40


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        (b"", 422, "empty-image"),
        (jpeg(picture(1))[:900], 422, "corrupt-image"),
        (b"just some words", 415, "unsupported-image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "unsupported-image"),
        (huge_png_header(10_000, 10_000), 413, "too-many-pixels"),
        (b"\xff\xd8\xff" + bytes(25_000_000), 413, "image-too-large"),
        (b"\xff\xd8\xff" + bytes(20_500_000), 413, "image-too-large"),
    ],
    ids=["empty", "truncated", "text", "svg", "100-megapixel", "25-MB", "just-too-large"],
)
@pytest.mark.parametrize("raw", [False, True], ids=["form", "raw"])
def test_bad_images_get_their_problem_and_the_service_goes_on(shared, data, status, kind, raw):
    if raw:
        headers = {"Content-Type": "image/png"}
        response = shared.client.post("/v1/attributions", content=data, headers=headers)
    else:
        response = shared.client.post("/v1/attributions", files={"file": ("a.png", data)})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"/problems/{kind}"
    assert shared.client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("parameters", "status", "where"),
    [
        ({"top_k": 0}, 422, "query.top_k"),
        ({"top_k": 101}, 422, "query.top_k"),
        ({"alpha": 0}, 422, "query.alpha"),
        ({"alpha": 0.51}, 422, "query.alpha"),
        ({"alpha": "nan"}, 422, "query.alpha"),
        ({"alpha": 0.0001}, 422, "query.alpha"),
        ({"alpha": 0.002, "guarantee": "background"}, 422, "query.alpha"),
        ({"guarantee": "none"}, 422, "query.guarantee"),
        ({"explain": "perhaps"}, 422, "query.explain"),
        ({"collection": "No Such Name"}, 422, "query.collection.0"),
        ({"min_generation": -1}, 422, "query.min_generation"),
        ({"collection": "unknown"}, 404, None),
        ({"min_generation": 10**9}, 409, None),
    ],
)
def test_bad_parameters_are_named(shared, parameters, status, where):
    response = shared.client.post(
        "/v1/attributions", params=parameters, files={"file": variation(1)}
    )
    assert response.status_code == status
    problem = response.json()
    if where is not None:
        assert [error["location"] for error in problem["errors"]] == [where]


def test_a_wrong_field_name_is_answered_with_the_right_one(shared):
    response = shared.client.post("/v1/attributions", files={"image": variation(1)})
    assert response.status_code == 422
    assert "'file'" in response.json()["detail"]
    assert "'image'" in response.json()["detail"]


@pytest.mark.parametrize(
    ("request_parts", "status", "kind"),
    [
        ({"data": {"file": "text"}}, 415, "unsupported-media-type"),
        ({"json": {"file": "text"}}, 415, "unsupported-media-type"),
        ({"content": b"", "headers": {}}, 415, "unsupported-media-type"),
        (
            {"content": b"xx", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            400,
            "malformed-body",
        ),
        (
            {"content": b"xx", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "malformed-body",
        ),
        ({"files": [("file", b"a"), ("file", b"b")]}, 422, "invalid-request"),
        ({"files": {"file": (None, "text")}}, 422, "invalid-request"),
        ({"files": {"file": b"a"}, "headers": {"Accept": "image/png"}}, 406, "not-acceptable"),
    ],
)
def test_bad_bodies(shared, request_parts, status, kind):
    response = shared.client.post("/v1/attributions", **request_parts)
    assert (response.status_code, response.json()["type"]) == (status, f"/problems/{kind}")


def test_a_chunked_body_is_cut_off_at_the_limit(shared):
    def without_length():
        for _ in range(300):
            yield bytes(100_000)

    response = shared.client.post(
        "/v1/attributions", content=without_length(), headers={"Content-Type": "image/png"}
    )
    assert response.status_code == 413
    assert response.json()["type"] == "/problems/image-too-large"


def test_a_batch_answers_in_order_with_problems_in_place(shared, gallery):
    broken = {4: b"words", 40: jpeg(picture(2))[:500], 63: b""}
    files = [
        ("files", (f"{place}.jpg", broken.get(place, variation(place % 30)))) for place in range(64)
    ]
    response = shared.client.post(
        "/v1/attributions/batch", files=files, params={"collection": "default"}
    )
    assert response.status_code == 200
    items = response.json()["items"]
    assert [item["index"] for item in items] == list(range(64))
    assert [item["filename"] for item in items] == [f"{place}.jpg" for place in range(64)]
    assert {place: items[place]["problem"]["type"] for place in broken} == {
        4: "/problems/unsupported-image",
        40: "/problems/corrupt-image",
        63: "/problems/empty-image",
    }
    answered = [item for item in items if "attribution" in item]
    assert len(answered) == 61
    for item in answered:
        first = item["attribution"]["sources"][0]
        assert first["source_id"] == gallery[item["index"] % 30]
    alone = shared.ask(variation(7), collection="default")["sources"]
    together = items[7]["attribution"]["sources"]
    assert [source["source_id"] for source in together] == [s["source_id"] for s in alone]
    for one, other in zip(together, alone, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_a_batch_that_is_too_long_is_refused(shared):
    files = [("files", (f"{place}.jpg", b"x")) for place in range(65)]
    response = shared.client.post("/v1/attributions/batch", files=files)
    assert (response.status_code, response.json()["type"]) == (413, "/problems/too-many-images")


def test_two_hundred_posts_from_sixteen_threads_get_the_answers_of_single_ones(shared, gallery):
    def ask(seed):
        return [
            (source["source_id"], source["score"])
            for source in shared.ask(variation(seed), collection="default")["sources"]
        ]

    alone = {seed: ask(seed) for seed in SEEDS}
    asked = [place % 30 for place in range(200)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, asked))
    for seed, answer in zip(asked, answers, strict=True):
        assert [source_id for source_id, _ in answer] == [one for one, _ in alone[seed]]
        for (_, score), (_, expected) in zip(answer, alone[seed], strict=True):
            assert score == pytest.approx(expected, abs=1e-4)


def test_an_alpha_channel_and_a_palette_are_fine(shared):
    image = picture(1).convert("RGBA")
    image.putalpha(128)
    assert shared.ask(png(image))["query"]["format"] == "png"
    written = io.BytesIO()
    picture(1).convert("P").save(written, "GIF")
    assert shared.ask(written.getvalue())["query"]["format"] == "gif"


def test_a_promise_for_this_background_takes_more_and_is_kept_by_jobs(shared, gallery):
    plain, strict = (
        shared.ask(variation(7), alpha=0.02, **asked) for asked in ({}, {"guarantee": "background"})
    )
    assert (plain["guarantee"], strict["guarantee"]) == ("average", "background")
    assert plain["p_value"] < strict["p_value"] <= 0.02
    assert strict["decision"] == "attributed"
    assert strict["sources"][0]["p_value"] == strict["p_value"]

    asked = {"alpha": 0.02, "guarantee": "background"}
    files = [("files", ("a.jpg", variation(7)))]
    posted = shared.client.post("/v1/jobs", params=asked, files=files).json()
    assert posted["parameters"]["guarantee"] == "background"
    finished(shared, posted)
    [line] = read(shared, posted)
    assert line["attribution"]["p_value"] == strict["p_value"]


def test_who_asks_about_a_held_picture_is_told_that_it_is_this_one(shared, gallery):
    again = jpeg(picture(5), quality=50)
    answers = [shared.ask(data, collection="default") for data in (jpeg(picture(5)), again)]
    assert [answer["sources"][0]["source_id"] for answer in answers] == [gallery[5]] * 2
    assert [answer["sources"][0]["match"] for answer in answers] == ["identical", "copy"]
    assert {each["match"] for answer in answers for each in answer["sources"][1:]} == {None}

    posted = shared.client.post("/v1/jobs", files=[("files", ("a.jpg", again))])
    finished(shared, posted.json())
    [line] = read(shared, posted.json())
    assert line["attribution"]["sources"][0]["match"] == "copy"


def screenshot(seed: int) -> bytes:
    whole = Image.new("RGB", (150, 170), "white")
    whole.paste(Image.open(io.BytesIO(variation(seed))), (30, 20))
    ImageDraw.Draw(whole).text((10, 120), "see what I found", fill="black")
    return jpeg(whole, quality=80)


def test_a_picture_within_a_screenshot_is_found_and_it_is_said(shared, gallery):
    answer = shared.ask(screenshot(7), collection="default")
    plain = shared.ask(variation(7), collection="default")
    assert answer["sources"][0]["source_id"] == gallery[7]
    assert answer["decision"] == "attributed"
    # A small background bears out no part of alpha, so the look inside may spend all of it.
    assert answer["p_value"] == pytest.approx(plain["p_value"])
    both = shared.ask(screenshot(7), collection="default", alpha=0.5)
    assert both["p_value"] == pytest.approx(plain["p_value"] / (1 - WHOLE))
    assert (answer["query"]["width"], answer["query"]["height"]) == (150, 170)
    assert [note["code"] for note in answer["query"]["notes"]] == ["framed-picture"]
    assert plain["query"]["notes"] == []


def test_a_job_looks_twice_too(shared, gallery):
    posted = shared.client.post("/v1/jobs", files=[("files", ("a.jpg", screenshot(7)))])
    finished(shared, posted.json())
    [line] = read(shared, posted.json())
    answer = shared.ask(screenshot(7))
    assert line["attribution"]["query"] == answer["query"]
    assert line["attribution"]["p_value"] == answer["p_value"]
    assert line["attribution"]["sources"] == answer["sources"]


def test_a_picture_of_one_colour_is_attributed_to_nothing_wherever_it_is_asked_about(shared):
    blank = png(Image.new("RGB", (96, 64), (128, 129, 128)))
    answer = shared.ask(blank, alpha=0.5)
    assert (answer["decision"], answer["reason"]) == ("no_source_found", "no-content")
    assert [note["code"] for note in answer["query"]["notes"]] == ["no-content"]
    assert answer["p_value"] == answer["unattributed_share"] == 1
    assert answer["sources"]
    for source in answer["sources"]:
        assert (source["p_value"], source["share"], source["attributed"]) == (1, 0, False)

    posted = shared.client.post("/v1/jobs", files=[("files", ("a.png", blank))])
    finished(shared, posted.json())
    [line] = read(shared, posted.json())
    assert line["attribution"]["reason"] == "no-content"
    assert line["attribution"]["sources"][0]["source_id"] == answer["sources"][0]["source_id"]


def test_a_screenshot_that_is_held_as_one_is_found_as_one(shared, gallery):
    posted = shared.client.post("/v1/sources", files={"file": ("post.jpg", screenshot(123))})
    # A fifth of .01 is more than so few background images can bear out.
    answer = shared.ask(screenshot(123), collection="default", alpha=0.02)
    assert answer["sources"][0]["source_id"] == posted.json()["source"]["source_id"]
    assert answer["decision"] == "attributed"
    shared.client.delete(f"/v1/sources/{answer['sources'][0]['source_id']}")


def test_framed_and_plain_pictures_of_a_batch_keep_their_order(shared, gallery):
    seeds = [7, 3, 11]
    images = [screenshot(7), variation(3), screenshot(11)]
    response = shared.client.post(
        "/v1/attributions/batch", files=[("files", ("a.jpg", each)) for each in images]
    )
    items = response.json()["items"]
    firsts = [item["attribution"]["sources"][0]["uri"] for item in items]
    assert firsts == [f"{seed}.jpg" for seed in seeds]
    assert [len(item["attribution"]["query"]["notes"]) for item in items] == [1, 0, 1]


def test_a_light_drawing_on_transparent_ground_finds_itself_on_any_dark_ground(shared):
    shared.client.put("/v1/collections/logos", json={})
    star = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(star).regular_polygon((48, 48, 40), 3, fill="white")
    ring = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(ring).ellipse((8, 8, 88, 88), outline="white", width=12)
    for name, logo in (("star", star), ("ring", ring)):
        response = shared.client.post(
            "/v1/sources", params={"collection": "logos"}, files={"file": (name, png(logo))}
        )
        assert response.status_code == 201
    on_dark = Image.new("RGBA", star.size, (20, 40, 90))
    on_dark.alpha_composite(star)
    for data, notes in ((png(star), ["ground-black"]), (jpeg(on_dark.convert("RGB")), [])):
        answer = shared.ask(data, collection="logos")
        assert answer["sources"][0]["uri"] == "star"
        assert answer["sources"][0]["score"] > answer["sources"][1]["score"] + 0.5
        assert [note["code"] for note in answer["query"]["notes"]] == notes
