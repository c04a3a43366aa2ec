"""One zip as a job: what is unpacked, and everything that is refused before it is."""

import io
import random
import stat
import struct
import zipfile

import pytest

from app.settings import Settings
from tests.support.jobs import finished, inputs, read
from tests.support.pictures import variation
from tests.support.service import serving
from tests.support.waiting import wait_for

LIMITS = {"max_job_images": 20, "max_job_bytes": 2_000_000, "max_image_bytes": 100_000}


@pytest.fixture(scope="module")
def served(tmp_path_factory, encoder):
    settings = Settings(data=tmp_path_factory.mktemp("archives"), **LIMITS)
    with serving(settings, encoder) as running:
        yield running


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **options) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method, **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return written.getvalue()


def send(served, archive: bytes, *, as_body: bool = False):
    if as_body:
        return served.client.post(
            "/v1/jobs", content=archive, headers={"Content-Type": "application/zip"}
        )
    return served.client.post("/v1/jobs", files=[("files", ("images.zip", archive))])


def refused(served, archive: bytes, words: str, kind: str = "archive-refused") -> None:
    for as_body in (False, True):
        response = send(served, archive, as_body=as_body)
        assert response.status_code in {413, 422}, response.text
        assert response.json()["type"] == f"/problems/{kind}"
        assert words in response.json()["detail"]
    assert inputs(served.service.settings) == []
    assert served.service.catalog.jobs.count_active() == 0


@pytest.mark.parametrize("as_body", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_each_member_is_an_item(served, as_body, method):
    members = {"a.jpg": variation(1), "readme.txt": b"no image", "été.jpg": variation(2)}
    response = send(served, zipped(members, method), as_body=as_body)
    assert response.status_code == 202, response.text
    job = response.json()
    assert finished(served, job)["failed"] == 1
    results = sorted(read(served, job), key=lambda result: result["index"])
    assert [result["filename"] for result in results] == list(members)
    assert results[1]["problem"]["type"] == "/problems/unsupported-image"
    assert "attribution" in results[2]
    assert inputs(served.service.settings) == []


def test_a_member_larger_than_an_image_is_its_own_problem(served):
    big = random.Random(1).randbytes(LIMITS["max_image_bytes"] + 1)
    job = send(served, zipped({"big.png": big, "a.jpg": variation(1)})).json()
    assert finished(served, job)["failed"] == 1
    [problem] = [result["problem"] for result in read(served, job) if "problem" in result]
    assert problem["type"] == "/problems/image-too-large"


def test_a_bomb_is_refused_before_it_is_unpacked(served):
    bomb = zipped({f"{number}.png": b"\0" * 400_000 for number in range(10)})
    assert len(bomb) < 10_000
    refused(served, bomb, "unpacked it has 4 MB, more than the 2 MB allowed")


def test_a_member_that_lies_about_its_size_writes_no_more_than_it_said(served):
    honest = zipped({"a.png": b"\0" * 500_000})
    size = struct.pack("<L", 500_000)
    assert honest.count(size) == 2
    refused(served, honest.replace(size, struct.pack("<L", 500)), "damaged")


def test_members_that_share_their_bytes_are_added_up(served):
    one = zipped({"a.png": b"\0" * 90_000})
    start = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entry = one[start:end]
    copies = 20
    many = one[:start] + entry * copies + struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, copies, copies, len(entry) * copies, start, 0
    )  # fmt: skip
    response = send(served, many)
    assert response.status_code in {202, 422}
    if response.status_code == 202:  # some versions of zipfile refuse overlaps themselves
        served.client.delete(response.headers["location"]).raise_for_status()
    with serving_limit(served, 1_000_000):
        refused(served, many, "unpacked it has 2 MB")


class serving_limit:  # noqa: N801 (reads as a statement)
    """A smaller limit for unpacked bytes, for the length of a block."""

    def __init__(self, served, limit):
        self.settings = served.service.settings
        self.limit = limit

    def __enter__(self):
        object.__setattr__(self.settings, "max_job_bytes", self.limit)

    def __exit__(self, *_):
        object.__setattr__(self.settings, "max_job_bytes", LIMITS["max_job_bytes"])


def test_too_many_members(served):
    many = {f"{number}.jpg": b"x" for number in range(LIMITS["max_job_images"] + 1)}
    refused(served, zipped(many), "21 members", kind="too-many-images")


def test_a_directory_that_understates_its_members(served):
    many = zipped({f"{number}.jpg": b"x" for number in range(LIMITS["max_job_images"] + 1)})
    end = many.rindex(b"PK\x05\x06")
    lying = many[: end + 8] + struct.pack("<2H", 1, 1) + many[end + 12 :]
    refused(served, lying, "21 members", kind="too-many-images")


def test_a_directory_too_long_to_read(served):
    long = {f"{number:0>4000}.jpg": b"x" for number in range(20)}
    refused(served, zipped(long), "list of members is too long")


@pytest.mark.parametrize(
    "name", ["photos/a.jpg", "../a.jpg", "/etc/passwd", "..\\a.jpg", "photos/", "..", "C:\\a.jpg"]
)
def test_nested_paths(served, name):
    refused(served, zipped({"ok.jpg": variation(1), name: b"x"}), "lies in a folder")


def test_a_name_with_a_hidden_end(served):
    archive = zipped({"a.jpgX../b": b"x"}).replace(b"a.jpgX../b", b"a.jpg\0../b")
    refused(served, archive, "lies in a folder")


@pytest.mark.parametrize(
    ("mode", "words"),
    [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "no regular file"),
     (stat.S_IFCHR, "no regular file")],
)  # fmt: skip
def test_members_that_are_no_files(served, mode, words):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        info = zipfile.ZipInfo("a.jpg")
        info.external_attr = (mode | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    refused(served, written.getvalue(), words)


def test_encrypted_members(served):
    archive = bytearray(zipped({"a.jpg": variation(1)}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(magic) + offset] |= 1
    refused(served, bytes(archive), "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packing(served, method):
    refused(served, zipped({"a.jpg": variation(1)}, method), "unusual way")


def test_zip64(served):
    archive = zipped({"a.jpg": variation(1)})
    end = archive.rindex(b"PK\x05\x06")
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    refused(served, archive[:end] + locator + archive[end:], "zip64")


def test_damaged_archives(served):
    whole = zipped({"a.jpg": variation(1), "b.jpg": variation(2)})
    refused(served, whole[: len(whole) // 2], "damaged")
    refused(served, zipped({}), "holds no files")
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    refused(served, bytes(flipped), "damaged")
    assert send(served, b"no zip", as_body=True).json()["type"] == "/problems/archive-refused"


def test_random_damage_is_never_a_server_error(served):
    whole = zipped({"a.jpg": variation(1)}, zipfile.ZIP_STORED)
    dice = random.Random(11)
    directory = whole.index(b"PK\x01\x02")
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            at = dice.choice([dice.randrange(50), dice.randrange(directory, len(whole))])
            damaged[at] = dice.randrange(256)
        response = send(served, bytes(damaged), as_body=True)
        assert response.status_code in {202, 413, 422}, (response.text, bytes(damaged[directory:]))
        if response.status_code == 202:
            served.client.delete(f"/v1/jobs/{response.json()['job_id']}")
    wait_for(lambda: inputs(served.service.settings) == [])  # what was under way may end after it


def test_an_archive_beside_images_is_refused(served):
    files = [("files", ("a.zip", zipped({"a.jpg": b"x"}))), ("files", ("b.jpg", variation(1)))]
    response = served.client.post("/v1/jobs", files=files)
    assert response.status_code == 422
    assert "got both" in response.json()["detail"]
    assert inputs(served.service.settings) == []


def names_in(served, archive: bytes) -> list[str]:
    response = send(served, archive)
    assert response.status_code == 202, response.text
    job = response.json()
    assert finished(served, job)["failed"] == 0
    results = sorted(read(served, job), key=lambda result: result["index"])
    return [result["filename"] for result in results]


IMAGES = {"a.jpg": variation(1), "b.jpg": variation(2)}


@pytest.mark.parametrize(
    "members",
    [
        {**IMAGES, "__MACOSX/._a.jpg": b"x", "__MACOSX/._b.jpg": b"x", ".DS_Store": b"x"},
        {f"pics/{name}": data for name, data in IMAGES.items()},
        {f"pics\\{name}": data for name, data in IMAGES.items()},
        {"pics/": b"", **{f"pics/{name}": data for name, data in IMAGES.items()}},
        {
            "pics/": b"",
            **{f"pics/{name}": data for name, data in IMAGES.items()},
            "pics/.DS_Store": b"x",
            "pics/Thumbs.db": b"x",
            "pics/._a.jpg": b"x",
            "__MACOSX/pics/._a.jpg": b"x",
            "__MACOSX/": b"",
        },
        {
            **{f"./pics/{name}": data for name, data in IMAGES.items()},
            "pics/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg": b"x",
            "pics/.AppleDouble/a.jpg": b"x",
            "pics/__MACOSX/._a.jpg": b"x",
            "pics/Icon\r": b"",
            "pics/ehthumbs_vista.db": b"x",
            "pics/.localized": b"",
            ".directory": b"x",
            "Picasa.ini": b"x",
        },
        {f"./{name}": data for name, data in IMAGES.items()},
    ],
)
def test_what_a_desktop_packs_is_read_and_what_it_adds_is_left_out(served, members):
    assert names_in(served, zipped(members)) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "members",
    [
        {"one/a.jpg": b"x", "two/b.jpg": b"x"},
        {"one/a.jpg": b"x", "b.jpg": b"x"},
        {"one/deep/a.jpg": b"x"},
        {"../a.jpg": b"x"},
        {"./../a.jpg": b"x"},
        {"/a.jpg": b"x"},
        {"one/..": b"x"},
    ],
)
def test_more_than_one_folder_at_the_top_is_refused(served, members):
    refused(served, zipped(members), "lies in a folder")


def test_nothing_but_packaging_is_no_job(served):
    refused(served, zipped({"pics/": b"", "__MACOSX/._a.jpg": b"x"}), "holds no files")


def test_packaging_does_not_count_as_images(served):
    images = {f"pics/{at}.jpg": variation(at) for at in range(LIMITS["max_job_images"])}
    beside = {f"__MACOSX/{name.replace('/', '/._')}": b"x" for name in images}
    assert len(names_in(served, zipped({"pics/": b"", **images, **beside}))) == len(images)
