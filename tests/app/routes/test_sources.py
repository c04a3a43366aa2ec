"""Sources over HTTP: add, list, change, delete, export."""

import io
import json

import pytest
from PIL import Image

from attribution.ingestion import ManifestRow, read_manifest
from tests.support.pictures import jpeg, picture, variation
from tests.support.rights import NO_TRAINING, listed, saying, xmp
from tests.support.service import serving


def ids(answer):
    return [source["source_id"] for source in answer["sources"]]


def test_a_source_comes_back_as_it_was_described(shared):
    known = {
        "uri": "https://example.com/é.jpg",
        "title": "A title",
        "creator": "Someone",
        "licence": "CC0",
        "metadata": {"a": [1, {"b": None}]},
    }
    response = shared.client.post(
        "/v1/sources",
        files={"file": ("a.jpg", jpeg(picture(1)))},
        data={"metadata": json.dumps(known)},
    )
    assert response.status_code == 201
    added = response.json()
    assert added["created"] is True
    assert {key: added["source"][key] for key in known} == known
    assert (added["source"]["width"], added["source"]["height"]) == (96, 72)
    location = response.headers["location"]
    assert shared.client.get(location).json() == added["source"]
    answer = shared.ask(variation(1), min_generation=added["generation"])
    assert answer["sources"][0]["uri"] == known["uri"]
    assert answer["sources"][0]["licence"] == "CC0"


def test_an_upload_that_says_who_made_it_need_not_be_told(shared):
    packet = xmp(
        listed("dc:creator", "Seq", ["<rdf:li>Ann</rdf:li>"])
        + listed("dc:title", "Alt", ["<rdf:li>Its own</rdf:li>"]),
        f'plus:DataMining="{NO_TRAINING}"',
    )
    response = shared.client.post(
        "/v1/sources",
        files={"file": ("a.jpg", saying(71, packet=packet))},
        data={"metadata": json.dumps({"title": "Stated", "metadata": {"note": "kept"}})},
    )
    source = response.json()["source"]
    assert (source["title"], source["creator"]) == ("Stated", "Ann")
    assert source["metadata"] == {
        "note": "kept",
        "embedded": {"data_mining": "DMI-PROHIBITED-GENAIMLTRAINING", "do_not_train": True},
    }


def test_the_same_bytes_again_change_nothing(shared):
    first = shared.add(2)
    response = shared.client.post(
        "/v1/sources", content=jpeg(picture(2)), headers={"Content-Type": "image/jpeg"}
    )
    assert response.status_code == 200
    again = response.json()
    assert again["created"] is False
    assert again["source"] == first["source"]


@pytest.mark.parametrize(
    "metadata",
    [
        "no json",
        "[]",
        '{"colour": "red"}',
        '{"title": 3}',
        '{"title": "' + "x" * 513 + '"}',
        '{"title": "\\u0000"}',
        '{"title": "\\ud800"}',
        '{"metadata": {"a": 1e999}}',
        '{"metadata": {"a": "' + "x" * 17_000 + '"}}',
        "[" * 5000,
    ],
)
def test_bad_metadata_is_named(shared, metadata):
    response = shared.client.post(
        "/v1/sources", files={"file": jpeg(picture(3))}, data={"metadata": metadata}
    )
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["location"].startswith("body.")


def test_an_unknown_collection_takes_no_source(shared):
    response = shared.client.post(
        "/v1/sources", params={"collection": "nowhere"}, files={"file": jpeg(picture(3))}
    )
    assert response.status_code == 404
    assert response.json()["type"] == "/problems/collection-not-found"


def test_a_batch_adds_the_good_ones(shared):
    files = [
        ("files", ("a.jpg", jpeg(picture(40)))),
        ("files", ("b.jpg", b"words")),
        ("files", ("c.jpg", jpeg(picture(41)))),
        ("files", ("d.jpg", jpeg(picture(42)))),
    ]
    known = [{"title": "A"}, None, {"title": "bad \0"}, None]
    response = shared.client.post(
        "/v1/sources/batch", files=files, data={"metadata": json.dumps(known)}
    )
    assert response.status_code == 200, response.text
    items = response.json()["items"]
    assert [item["index"] for item in items] == [0, 1, 2, 3]
    assert items[0]["source"]["title"] == "A"
    assert items[1]["problem"]["type"] == "/problems/unsupported-image"
    assert items[2]["problem"]["type"] == "/problems/invalid-request"
    assert items[3]["source"]["uri"] == "d.jpg"
    assert response.json()["generation"] == shared.service.catalog.generation()


def test_a_batch_needs_as_much_metadata_as_files(shared):
    response = shared.client.post(
        "/v1/sources/batch", files=[("files", b"x")], data={"metadata": "[null, null]"}
    )
    assert response.status_code == 422
    assert "2 items for 1 files" in response.json()["detail"]


def test_lists_are_paged_and_filtered(running):
    added = [running.add(seed)["source"]["source_id"] for seed in range(5)]
    seen, cursor = [], None
    while True:
        parameters = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = running.client.get("/v1/sources", params=parameters).json()
        seen += [item["source_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == added
    [only] = running.client.get("/v1/sources", params={"uri": "3.jpg"}).json()["items"]
    assert only["source_id"] == added[3]
    sought = {"text": ".JPG", "order": "newest", "limit": 3, "created_from": "2020-01-01T00:00:00Z"}
    found = running.client.get("/v1/sources", params=sought).json()["items"]
    assert [item["source_id"] for item in found] == added[:1:-1]
    running.client.put("/v1/collections/art")
    running.add(3, collection="art")
    twice = running.client.get("/v1/sources", params={"copies": "true"}).json()["items"]
    assert [item["uri"] for item in twice] == ["3.jpg", "3.jpg"]
    for parameters in (
        {"created_from": "2020-01-01T00:00:00"},
        {"cursor": "nonsense"},
        {"limit": 0},
        {"colour": "red"},
        {"sha256": "x"},
    ):
        response = running.client.get("/v1/sources", params=parameters)
        assert response.status_code == 422
        [error] = response.json()["errors"]
        assert error["location"].startswith("query.")


def test_a_merge_patch_changes_deletes_and_keeps(shared):
    source = shared.add(10)["source"]
    url = f"/v1/sources/{source['source_id']}"
    shared.client.patch(url, json={"title": "T", "metadata": {"a": 1, "b": {"c": 1, "d": 2}}})
    response = shared.client.patch(
        url,
        content=json.dumps({"uri": None, "metadata": {"a": None, "b": {"c": 3}}}),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert response.status_code == 200
    changed = response.json()
    assert (changed["uri"], changed["title"]) == (None, "T")
    assert changed["metadata"] == {"b": {"c": 3, "d": 2}}
    assert response.headers["etag"] == f'"{changed["revision"]}"'
    assert shared.client.patch(url, json={"metadata": None}).json()["metadata"] == {}


def test_if_match_protects_from_lost_updates(shared):
    url = f"/v1/sources/{shared.add(11)['source']['source_id']}"
    tag = shared.client.get(url).headers["etag"]
    first = shared.client.patch(url, json={"title": "1"}, headers={"If-Match": tag})
    assert first.status_code == 200
    new = first.headers["etag"]
    for stale in (
        tag,
        '"999"',
        "nonsense",
        f"W/{new}",
        f'"0{new[1:]}',
        f"x{new}",
        f"{tag}, x{new}",
    ):
        response = shared.client.patch(url, json={"title": "2"}, headers={"If-Match": stale})
        assert response.status_code == 412
        assert response.json()["type"] == "/problems/revision-mismatch"
    for good in ("*", f"{tag}, {new}", f",{new},"):
        assert shared.client.patch(url, json={}, headers={"If-Match": good}).status_code == 200
    assert shared.client.get(url).json()["title"] == "1"
    refused = shared.client.delete(url, headers={"If-Match": tag})
    assert (refused.status_code, refused.json()["type"]) == (412, "/problems/revision-mismatch")
    assert shared.client.delete(url, headers={"If-Match": new}).status_code == 200
    assert shared.client.delete(url, headers={"If-Match": new}).status_code == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_from", "0001-01-01T00:00:00+14:00"),
        ("created_before", "9999-12-31T23:59:59-14:00"),
        ("text", "a\0b"),
        ("uri", "a\0b"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/sources", "/v1/sources/export"])
def test_a_filter_that_cannot_be_looked_for_is_named(shared, path, name, value):
    response = shared.client.get(path, params={name: value})
    assert response.status_code == 422
    assert [each["location"] for each in response.json()["errors"]] == [f"query.{name}"]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ('{"colour": "red"}', "application/json", 422),
        ('{"title": 1}', "application/json", 422),
        ('{"title": "\\ud800"}', "application/json", 422),
        ("[]", "application/json", 422),
        ("{", "application/json", 422),
        ("[" * 100_000, "application/json", 400),
        ("{}", "text/plain", 415),
        ('{"title": "' + "x" * 2_000_000 + '"}', "application/json", 413),
    ],
)
def test_bad_patches(shared, content, content_type, status):
    url = f"/v1/sources/{shared.add(12)['source']['source_id']}"
    response = shared.client.patch(url, content=content, headers={"Content-Type": content_type})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_thumbnails_are_small_jpegs_that_caches_may_keep(shared):
    source = shared.client.post(
        "/v1/sources", files={"file": jpeg(picture(13, size=(900, 600)))}
    ).json()["source"]
    response = shared.client.get(source["thumbnail_url"], params={"size": 64})
    with Image.open(io.BytesIO(response.content)) as image:
        assert (image.format, max(image.size)) == ("JPEG", 64)
    tag = response.headers["etag"]

    def again(condition):
        return shared.client.get(
            source["thumbnail_url"], params={"size": 64}, headers={"If-None-Match": condition}
        )

    for held in (tag, f"W/{tag}", f'"a,b", {tag}', "*"):
        kept = again(held)
        assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", tag)
    for other in (f'"{tag}"', f"x{tag}", '"x"', tag[1:-1], tag[:-1]):
        assert again(other).content == response.content, "only a whole tag is the one held"
    bad = shared.client.get(source["thumbnail_url"], params={"size": 63})
    assert bad.status_code == 422
    assert shared.client.get("/v1/sources/none/thumbnail").status_code == 404


def test_a_deleted_source_is_in_no_answer_also_after_restart(settings, encoder, background):
    with serving(settings, encoder, background) as first:
        kept = [first.add(seed)["source"]["source_id"] for seed in range(4)]
        gone = [first.add(seed)["source"]["source_id"] for seed in (4, 5)]
        digest = first.client.get(f"/v1/sources/{gone[1]}").json()["sha256"]
        response = first.client.delete(f"/v1/sources/{gone[0]}")
        assert response.status_code == 200
        assert response.json()["source_ids"] == [gone[0]]
        assert first.client.delete(f"/v1/sources/{gone[0]}").status_code == 404
        response = first.client.post("/v1/sources/delete", json={"sha256s": [digest, "0" * 64]})
        assert response.json()["source_ids"] == [gone[1]]
        assert response.json()["missing"] == ["0" * 64]
        before = first.ask(variation(4), top_k=100)
        assert sorted(ids(before)) == sorted(kept)
        generation = before["index_generation"]
    with serving(settings, encoder, background) as second:
        after = second.ask(variation(4), top_k=100, min_generation=generation)
        assert ids(after) == ids(before)
        assert second.client.get(f"/v1/sources/{gone[0]}").status_code == 404
        assert second.client.get(f"/v1/sources/{gone[0]}/thumbnail").status_code == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"source_ids": []}, {"source_ids": ["a"], "sha256s": ["0" * 64]}, {"sha256s": ["xyz"]},
     {"source_ids": ["a"] * 1001}],
)  # fmt: skip
def test_bad_deletions(shared, body):
    assert shared.client.post("/v1/sources/delete", json=body).status_code == 422


def test_what_keeps_an_export_from_being_made_is_a_problem_and_no_cut_connection(shared):
    response = shared.client.get("/v1/sources/export", params={"uri": "\0"})
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-request"


def test_an_export_is_a_manifest(running, tmp_path):
    running.client.put("/v1/collections/art")
    for seed in range(3):
        running.add(seed, collection="art" if seed else "default")
    response = running.client.get("/v1/sources/export")
    assert response.headers["content-type"] == "application/jsonl"
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(response.content)
    rows = list(read_manifest(manifest))
    assert all(isinstance(row, ManifestRow) for row in rows)
    assert [(row.uri, row.collection) for row in rows] == [
        ("0.jpg", "default"),
        ("1.jpg", "art"),
        ("2.jpg", "art"),
    ]


def test_a_source_added_beside_the_service_is_found_when_its_generation_is_asked_for(
    running, encoder
):
    source = running.add(1)["source"]
    beside = running.service.catalog.delete(source_ids=[source["source_id"]])
    answer = running.ask(variation(1), min_generation=beside.generation)
    assert answer["index_generation"] >= beside.generation
    assert ids(answer) == []


def test_calling_json_an_image_buys_no_room(shared):
    response = shared.client.post(
        "/v1/sources/delete",
        content=b"x" * 2_000_000,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert response.status_code == 413
    assert response.json()["type"] == "/problems/request-too-large"
