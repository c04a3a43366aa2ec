"""Tar files as webdataset writes them, and folders that are known by an address."""

import io
import json
import tarfile
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from attribution.ingestion import (
    ManifestProblem,
    ManifestRow,
    ManifestUnreadable,
    Shard,
    expanded,
    read_address,
    shards,
)
from attribution.ingestion.addresses import opened
from attribution.ingestion.archives import read
from tests.support.pictures import draw, small_jpeg

MOST = 1_000_000


def tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Shard:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return Shard(str(path), Path(path.name), "press")


def rows(*shards: Shard, max_bytes: int = MOST) -> list[ManifestRow | ManifestProblem]:
    return list(expanded(shards, max_bytes=max_bytes))


def test_what_stands_beside_a_picture_is_said_of_it(tmp_path):
    said = {"Title": " Nought ", "author": "Ann", "license": "CC0-1.0", "url": "pic:0", "lens": 35}
    shard = tar(
        tmp_path / "a.tar",
        {
            "x/0.json": json.dumps(said).encode(),
            "x/0.left.jpg": b"left",
            "x/0.right.jpg": b"right",
            "x/0.txt": b"a caption",
            "x/1.jpg": b"one",
            "x/1.txt": "Größe\n".encode(),
            "y/1.jpg": b"another",
        },
    )
    left, right, one, another = rows(shard)
    assert left.stated == {
        "title": "Nought",
        "creator": "Ann",
        "licence": "CC0-1.0",
        "uri": "pic:0",
        "metadata": {"lens": 35, "caption": "a caption"},
    }
    assert (left.uri, left.content, left.collection) == ("pic:0", b"left", "press")
    assert right.stated == left.stated
    assert (right.path, right.content) == (Path("a.tar/x/0.right.jpg"), b"right")
    assert (one.stated, one.content) == ({"title": "Größe"}, b"one")
    assert (another.stated, another.content) == ({}, b"another")
    with fsspec.open(another.uri) as file:
        assert file.read() == b"another"


def test_what_is_blank_says_nothing(tmp_path):
    blank = b'{"title": " ", "licence": "\\n", "camera": "  "}'
    shard = tar(tmp_path / "a.tar", {"0.jpg": b"one", "0.json": blank, "0.txt": b"a caption"})
    assert rows(shard)[0].stated == {"title": "a caption"}


def test_a_long_caption_is_no_title(tmp_path):
    shard = tar(tmp_path / "a.tar", {"0.jpg": b"0", "0.txt": b"x" * 513})
    assert rows(shard)[0].stated == {"metadata": {"caption": "x" * 513}}


def test_a_sample_that_is_larger_than_samples_are_is_given_away_in_pieces(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(shards, "read", lambda *what: taken.append(what) or read(*what))
    members = {"day.json": b'{"creator": "Ann"}'}
    members |= {f"day.{number}.jpg": bytes([number]) * 900 for number in range(12)}
    found = expanded([tar(tmp_path / "a.tar", members)], max_bytes=1000)
    first = next(found)
    assert len(taken) == 1 + 5  # what is said, and five pictures
    rest = list(found)
    assert [row.content[0] for row in (first, *rest)] == list(range(12))
    assert {row.stated["creator"] for row in (first, *rest)} == {"Ann"}


def test_what_is_unusable_in_a_tar_file_is_said_and_the_rest_is_read(tmp_path):
    shard = tar(
        tmp_path / "a.tgz",
        {
            "0.jpg": b"0123456789",
            "0.json": b"[1]",
            "alone.json": b"{",
            "@eaDir/1.jpg": b"thumbnail",
            "@eaDir/2.jpg": b"thumbnail",
            "2.jpg": b"2",
        },
        "w:gz",
    )
    large, unheard, kept, two = rows(shard, max_bytes=4)
    assert large.content == b"01234"  # one more than may be, so it will be refused
    assert unheard.path == Path("a.tgz/0.json")
    assert "not a JSON object" in unheard.reason
    assert (kept.path, kept.line) == (Path("a.tgz/@eaDir"), 0)
    assert two.content == b"2"


@pytest.mark.parametrize("cut", [3000, 1024], ids=["in a member", "between members"])
def test_a_tar_file_that_was_cut_short_is_read_up_to_there(tmp_path, cut):
    shard = tar(tmp_path / "a.tar", {"0.jpg": b"0" * 100, "1.jpg": b"1" * 4000})
    path = tmp_path / "a.tar"
    path.write_bytes(path.read_bytes()[:cut])
    *first, problem = rows(shard)
    assert [row.content for row in first if isinstance(row, ManifestRow)] == [b"0" * 100]
    assert problem.path == Path("a.tar")
    assert "damaged" in problem.reason
    assert "what is before that was read" in problem.reason


def test_a_tar_file_that_is_not_there_is_told(tmp_path):
    [problem] = rows(Shard(str(tmp_path / "no.tar"), Path("no.tar")))
    assert problem.reason == "cannot be read (No such file or directory)"


def test_a_folder_behind_an_address_gives_pictures_and_tar_files(tmp_path):
    folder = draw(tmp_path / "photographs", range(2))
    draw(folder / "deep", [2])
    draw(folder / "@eaDir", [3])
    (folder / ".hidden.jpg").write_bytes(b"")
    (folder / "notes.md").write_bytes(b"")
    tar(folder / "deep" / "s.tar", {"0.jpg": b"0"})
    address = f"file://{folder}"
    hidden, first, second, kept, third, shard = read_address(address, collection="press")
    assert (hidden.path, kept.path) == (Path(".hidden.jpg"), Path("@eaDir"))
    assert [row.path for row in (first, second, third)] == [
        Path("000.jpg"),
        Path("001.jpg"),
        Path("deep/002.jpg"),
    ]
    assert third.uri == third.address == f"{address}/deep/002.jpg"
    assert third.collection == "press"
    assert shard == Shard(f"{address}/deep/s.tar", Path("deep/s.tar"), "press")
    [member] = rows(shard)
    assert member.uri == f"tar://0.jpg::{address}/deep/s.tar"
    assert [*read_address(shard.address)] == [Shard(shard.address, Path("s.tar"))]
    with opened(third.address) as file:
        assert file.read() == (folder / "deep" / "002.jpg").read_bytes()


def test_another_store_is_read_like_a_folder():
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/a/0.jpg", small_jpeg(0))
    try:
        [row] = read_address("memory://bucket")
        assert (row.path, row.uri) == (Path("a/0.jpg"), "memory:///bucket/a/0.jpg")
        with opened(row.address) as file:
            assert file.read() == small_jpeg(0)
    finally:
        store.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file://{}/none", "cannot be read"),
        ("file://{}/a.jpg", "neither a folder nor a tar file"),
        ("ftp://me:secret@host/a", "a password is in the address"),
        ("nothing-known://a", "nothing-known"),
    ],
)
def test_an_address_of_nothing_is_refused_at_once(tmp_path, address, message):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(ManifestUnreadable, match=message) as caught:
        read_address(address.format(tmp_path))
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="s3fs is installed here")
def test_a_store_whose_driver_is_missing_says_what_to_install():
    with pytest.raises(ImportError, match="pip install fsspec s3fs"):
        read_address("s3://bucket/folder")


def test_what_a_store_calls_its_failures_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="No such file"), opened(f"file://{tmp_path}/none.jpg"):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"), opened(f"file://{tmp_path}/folder"):
        pass
