"""Multipart bodies: incomplete ones are refused on every route, names and encodings of parts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.requests.parts import options_of
from tests.support.jobs import finished, inputs, read
from tests.support.pictures import jpeg, large_png, picture, variation

ONE = ("/v1/attributions", "/v1/sources")
MANY = ("/v1/attributions/batch", "/v1/sources/batch", "/v1/jobs")
TYPE = {"Content-Type": "multipart/form-data; boundary=B"}


def part(disposition: str, data: bytes, *headers: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *headers]
    return ("--B\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + data + b"\r\n"


def file_part(path: str, seed: int = 1, data: bytes | None = None) -> bytes:
    name = "file" if path in ONE else "files"
    return part(f'name="{name}"; filename="{seed}.jpg"', data or variation(seed))


def post(shared, path: str, body: bytes):
    return shared.client.post(path, content=body, headers=TYPE)


def is_refused_as_cut_short(shared, path: str, body: bytes) -> None:
    before = shared.client.get("/v1/sources").json()
    response = post(shared, path, body)
    assert response.status_code == 400, (path, response.text)
    assert response.json()["type"] == "/problems/malformed-body"
    assert shared.client.get("/v1/sources").json() == before
    assert inputs(shared.service.settings) == []


@pytest.mark.parametrize("path", ONE + MANY)
def test_a_body_without_its_last_boundary(shared, path):
    whole = file_part(path)
    is_refused_as_cut_short(shared, path, b"")
    for cut in range(1, 12):
        is_refused_as_cut_short(shared, path, (whole + b"--B--")[:-cut])
    is_refused_as_cut_short(shared, path, whole[: len(whole) // 2])
    is_refused_as_cut_short(shared, path, whole + b"--B\r\n")
    is_refused_as_cut_short(shared, path, file_part(path, data=large_png())[:-1000])


@pytest.mark.parametrize("path", MANY)
def test_the_last_of_several_files_is_cut_in_its_middle(shared, path):
    body = b"".join(file_part(path, seed) for seed in range(3))
    is_refused_as_cut_short(shared, path, body[:-300])
    is_refused_as_cut_short(shared, path, body)


def test_metadata_that_is_cut_or_missing(shared):
    known = part('name="metadata"', json.dumps({"title": "Lighthouse"}).encode())
    body = file_part("/v1/sources", 77) + known
    for cut in (0, 1, 6, len(known) - 4):
        is_refused_as_cut_short(shared, "/v1/sources", body[: len(body) - cut])
    response = post(shared, "/v1/sources", body + b"--B--\r\n")
    assert response.json()["source"]["title"] == "Lighthouse"


@pytest.mark.parametrize("end", [b"--B--", b"--B--\r\n", b"--B--\r\nand an epilogue\r\n"])
@pytest.mark.parametrize("path", ONE + MANY)
def test_a_whole_body_is_taken(shared, path, end):
    response = post(shared, path, file_part(path) + end)
    assert response.is_success
    if path == "/v1/jobs":
        finished(shared, response.json())  # else its input lies where the next test looks
    empty = post(shared, path, end)
    assert empty.status_code == 422, "whole, and without the field"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("filename*=UTF-8''na%C3%AFve%20%22b%22.jpg", 'naïve "b".jpg'),
        ("filename*=utf-8'en'%e2%82%ac.jpg", "€.jpg"),
        ("filename*=ISO-8859-1''%E9t%E9.jpg", "été.jpg"),
        ("filename=\"a.jpg\"; filename*=UTF-8''b.jpg", "a.jpg"),
        ("filename*=UTF-8''b.jpg; filename=\"a.jpg\"", "a.jpg"),
        ('filename="été.jpg"', "été.jpg"),
    ],
)
def test_an_extended_name_alone_is_the_name_of_a_file(shared, disposition, name):
    data = jpeg(picture(5))
    body = part(f'name="files"; {disposition}', data) + b"--B--\r\n"
    for path in ("/v1/attributions/batch", "/v1/sources/batch"):
        [item] = post(shared, path, body).json()["items"]
        assert item["filename"] == name
    job = post(shared, "/v1/jobs", body).json()
    assert finished(shared, job)["completed"] == 1
    [result] = read(shared, job)
    assert result["filename"] == name


@given(st.binary(max_size=200))
def test_no_disposition_is_too_odd(said):
    for disposition in (said, b'form-data; name="files"; filename*' + said):
        assert isinstance(options_of(disposition), dict)


@pytest.mark.parametrize("path", ONE + MANY)
@pytest.mark.parametrize("header", ["Content-Transfer-Encoding: base64", "Content-Encoding: gzip"])
def test_a_part_that_is_encoded_is_415_and_says_how(shared, path, header):
    name = "file" if path in ONE else "files"
    body = part(f'name="{name}"; filename="a.jpg"', variation(1), header) + b"--B--\r\n"
    response = post(shared, path, body)
    assert response.status_code == 415
    assert header in response.json()["detail"]
    plain = part(
        f'name="{name}"; filename="a.jpg"', variation(1), "Content-Transfer-Encoding: 8bit"
    )
    response = post(shared, path, plain + b"--B--\r\n")
    assert response.is_success
    if path == "/v1/jobs":
        finished(shared, response.json())


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "x-mine", "gzip, identity"])
def test_a_body_that_is_encoded_is_415_and_says_how(shared, encoding):
    said = {"Content-Encoding": encoding}
    for path, content, media_type in (
        *((path, file_part(path) + b"--B--\r\n", TYPE["Content-Type"]) for path in ONE + MANY),
        ("/v1/attributions", variation(1), "image/jpeg"),
        ("/v1/sources/delete", b"{}", "application/json"),
        ("/v1/jobs", b"PK\3\4", "application/zip"),
    ):
        response = shared.client.post(
            path, content=content, headers={**said, "Content-Type": media_type}
        )
        assert response.status_code == 415, path
        assert repr(encoding) in response.json()["detail"]
        assert response.headers["accept-encoding"] == "identity"
    response = shared.client.put("/v1/collections/c", json={}, headers=said)
    assert response.status_code == 415


def test_a_body_that_says_it_is_not_encoded_is_taken(shared):
    for encoding in ("Identity", "identity, identity", ", identity,", ""):
        headers = {"Content-Encoding": encoding, "Content-Type": "image/jpeg"}
        asked = shared.client.post("/v1/attributions", content=variation(1), headers=headers)
        assert asked.is_success, encoding
    assert shared.client.get("/v1/index", headers={"Content-Encoding": "gzip"}).is_success
