"""Pictures of tar files: what is left out is told, and half an archive is none."""

import gzip
import io
import tarfile

import pytest

from attribution.ingestion.archives import ArchiveDamaged, Member, open_tar, pictures_in, read
from tests.support.pictures import small_jpeg

PICTURES = {f"x/{seed}.jpg": small_jpeg(seed) for seed in range(5)}


def packed(members, links=()) -> bytes:
    """A tar file of `members`, bytes by name, and of links as `(name, kind, target)`."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, kind, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return written.getvalue()


@pytest.fixture
def listed(tmp_path):
    def listed(data: bytes):
        """Bytes of each picture by name, and the reason of each that is left out."""
        path = tmp_path / "shard.tar"
        path.write_bytes(data)
        with open_tar(path) as archive:
            found = list(pictures_in(archive))
            pictures = {
                each.name: read(archive, each.content) for each in found if isinstance(each, Member)
            }
        return pictures, {
            each.path.as_posix(): each.reason for each in found if not isinstance(each, Member)
        }

    return listed


def test_pictures_are_told_by_name_or_content_and_sorted(listed):
    members = {"b": PICTURES["x/1.jpg"], "a.jpg": b"no picture", "c.txt": b"text"}
    found, left_out = listed(packed(members))
    assert list(found) == ["a.jpg", "b"]
    assert left_out == {}


def test_links_lend_what_they_lead_to_and_are_told_where_that_is_not_there(listed):
    links = [
        ("x/link.jpg", tarfile.SYMTYPE, "0.jpg"),
        ("up.jpg", tarfile.SYMTYPE, "./x/../x/1.jpg"),
        ("hard.jpg", tarfile.LNKTYPE, "x/2.jpg"),
        ("chain", tarfile.SYMTYPE, "hard.jpg"),
        ("x/gone.jpg", tarfile.SYMTYPE, "../none.jpg"),
        ("outside.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        ("hardgone", tarfile.LNKTYPE, "x/none.jpg"),
        ("self.jpg", tarfile.SYMTYPE, "self.jpg"),
        ("pipe.jpg", tarfile.FIFOTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("folder", tarfile.DIRTYPE, ""),
        ("to-folder", tarfile.SYMTYPE, "folder"),
    ]
    found, left_out = listed(packed(PICTURES, links))
    lent = {name: found[name] for name in found.keys() - PICTURES.keys()}
    assert lent == {
        "x/link.jpg": PICTURES["x/0.jpg"],
        "up.jpg": PICTURES["x/1.jpg"],
        "hard.jpg": PICTURES["x/2.jpg"],
        "chain": PICTURES["x/2.jpg"],
    }
    assert left_out.pop("pipe.jpg") == "no regular file"
    assert left_out.keys() == {"x/gone.jpg", "outside.jpg", "hardgone", "self.jpg"}
    assert "nowhere, to ../none.jpg" in left_out["x/gone.jpg"]


def test_what_systems_keep_and_what_is_hidden_is_told_once(listed):
    picture = PICTURES["x/0.jpg"]
    members = {
        "p/@eaDir/a.jpg": picture,
        "p/@eaDir/deep/b.jpg": picture,
        "__MACOSX/p/._a.jpg": b"\0\5\x16\7" + bytes(70),
        ".cache/c": picture,
        "p/.hidden.jpg": picture,
        "p/._a.jpg": b"\0\5\x16\7" + bytes(70),
        "p/.DS_Store": b"\0\0\0\1Bud1",
        "p/a.jpg": picture,
    }
    found, left_out = listed(packed(members))
    assert list(found) == ["p/a.jpg"]
    assert left_out.keys() == {"p/@eaDir", "__MACOSX", ".cache", "p/.hidden.jpg"}
    assert "Synology" in left_out["p/@eaDir"]


def test_of_two_members_of_one_name_the_last_holds(listed):
    first = packed({"a.jpg": b"old"}).rstrip(b"\0")
    whole = first.ljust(-(-len(first) // 512) * 512, b"\0") + packed({"a.jpg": b"new"})
    assert listed(whole)[0] == {"a.jpg": b"new"}


def cut_at_a_member(data):
    return data[: data.index(b"x/3.jpg")]


def cut_in_a_header(data):
    return data[: data.index(b"x/3.jpg") + 100]


def cut_in_a_file(data):
    return data[: data.index(b"x/3.jpg") + 700]


def with_a_damaged_header(data):
    return data.replace(b"x/3.jpg", b"x/8.jpg", 1)


def without_its_end(data):
    return data[: -(-len(data.rstrip(b"\0")) // 512) * 512]


def joined(data):
    return data + packed({"more.jpg": b"more"})


def compressed_and_cut(data):
    return gzip.compress(data)[:-3000]


def compressed_and_damaged(data):
    return gzip.compress(data)[:-8] + b"checksum"


@pytest.mark.parametrize(
    "harm",
    [cut_at_a_member, cut_in_a_header, cut_in_a_file, with_a_damaged_header, without_its_end,
     joined, compressed_and_cut, compressed_and_damaged, lambda _: b"", lambda _: b"PK\3\4",
     lambda data: data[:300]],
)  # fmt: skip
def test_half_an_archive_is_none(listed, harm):
    with pytest.raises(ArchiveDamaged, match=r"shard\.tar") as raised:
        listed(harm(packed(PICTURES)))
    assert "\n" not in str(raised.value)


def test_a_whole_one_is_read_compressed_or_not(listed, tmp_path):
    assert listed(packed(PICTURES)) == (PICTURES, {})
    assert listed(gzip.compress(packed(PICTURES))) == (PICTURES, {})
    with pytest.raises(ArchiveDamaged), open_tar(tmp_path / "shard.tar", plain=True):
        pass
