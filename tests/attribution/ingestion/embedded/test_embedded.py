"""What a picture says of itself: which block wins, what is refused, and that no bytes break it."""

import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from attribution.catalog.validation import METADATA_BYTES, json_object
from attribution.ingestion.embedded import EMBEDDED, Embedded, filled, read_embedded
from attribution.ingestion.embedded.xmp import read_xmp
from models.images import packets
from models.images.exif import values_of
from tests.support.rights import NO_TRAINING, iptc, listed, saying, xmp

ARTIST, COPYRIGHT = 0x013B, 0x8298
ELSE = "<rdf:li>Somebody else</rdf:li>"
WHOLE = xmp(
    listed(
        "dc:title",
        "Alt",
        ['<rdf:li xml:lang="de">Hafen</rdf:li>', '<rdf:li xml:lang="x-default">Harbour</rdf:li>'],
    )
    + listed("dc:creator", "Seq", ["<rdf:li>Ann Ōe</rdf:li>", "<rdf:li>Bo</rdf:li>"])
    + listed("dc:rights", "Alt", ['<rdf:li xml:lang="x-default">© 2026 Ann</rdf:li>'])
    + '<cc:license rdf:resource="https://creativecommons.org/licenses/by/4.0/"/>'
    + listed(
        "plus:Licensor",
        "Seq",
        ['<rdf:li rdf:parseType="Resource"><plus:LicensorName>Agency</plus:LicensorName></rdf:li>'],
    )
    + listed(
        "xmpMM:Pantry",
        "Bag",
        [f'<rdf:li rdf:parseType="Resource">{listed("dc:creator", "Seq", [ELSE])}</rdf:li>'],
    ),
    f'plus:DataMining="{NO_TRAINING}" Iptc4xmpExt:DigitalSourceType='
    '"http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"',
)


def test_a_photograph_of_an_agency_gives_every_field():
    said = read_embedded(saying(1, packet=WHOLE))
    assert (said.title, said.creator) == ("Harbour", "Ann Ōe; Bo")
    assert said.licence == "https://creativecommons.org/licenses/by/4.0/"
    assert said.further == {
        "copyright": "© 2026 Ann",
        "data_mining": "DMI-PROHIBITED-GENAIMLTRAINING",
        "do_not_train": True,
        "licensor": "Agency",
        "digital_source_type": "digitalCapture",
    }


def test_xmp_comes_before_iptc_and_iptc_before_exif():
    block = iptc((2, 5, b"By IPTC"), (2, 80, b"Ivo"), (2, 80, b"Ina"), (2, 116, b"(c) IPTC"))
    exif = {ARTIST: "Eva", COPYRIGHT: "(c) EXIF"}
    packet = xmp(listed("dc:title", "Alt", ['<rdf:li xml:lang="x-default">By XMP</rdf:li>']))
    said = read_embedded(saying(1, packet=packet, block=block, exif=exif))
    assert (said.title, said.creator) == ("By XMP", "Ivo; Ina")
    assert said.further == {"copyright": "(c) IPTC"}
    assert read_embedded(saying(1, exif=exif)).creator == "Eva"


@pytest.mark.parametrize(
    ("block", "creator"),
    [
        (iptc((2, 80, "Zoë".encode())), "Zoë"),
        (iptc((2, 80, "Zoë".encode("cp1252"))), "Zoë"),
        (iptc((1, 90, b"\x1b%G"), (2, 80, "Ōe".encode())), "Ōe"),
        (iptc((2, 80, b"cut off"))[:-1], None),
    ],
)
def test_names_in_iptc_are_read_as_they_are_encoded(block, creator):
    assert read_embedded(saying(1, block=block)).creator == creator


def written(form: str) -> bytes:
    """The packet and an artist in a file of another format."""
    image, file, tags = Image.new("RGB", (32, 32), "red"), io.BytesIO(), Image.Exif()
    tags[ARTIST] = "Eva"
    options: dict[str, object] = {"exif": tags, "xmp": WHOLE}
    if form == "PNG":
        options = {"exif": tags, "pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", WHOLE.decode(), zip=True)
    if form == "TIFF":
        directory = ImageFileDirectory_v2()
        directory[700], directory.tagtype[700] = WHOLE, 1
        directory[ARTIST] = "Eva"
        options = {"tiffinfo": directory}
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_formats_say_the_same(form):
    said = read_embedded(written(form))
    assert (said.title, said.creator) == ("Harbour", "Ann Ōe; Bo")
    assert said.further["do_not_train"] is True


def test_texts_of_a_png_are_read_and_a_packed_one_fills_no_memory():
    file, texts = io.BytesIO(), PngInfo()
    texts.add_text("Author", "Pia")
    texts.add_text("Title", "0" * 4_100_000, zip=True)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=texts)
    assert read_embedded(file.getvalue()) == Embedded(creator="Pia")


def test_texts_under_other_names_and_endless_values_are_not_even_unpacked():
    file, texts = io.BytesIO(), PngInfo()
    for number in range(40):
        texts.add_text(f"k{number}", "0" * 3_900_000, zip=True)
    texts.add_text("Author", "")
    texts.add_text("Author", "Pia")
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=texts)
    tracemalloc.start()
    assert read_embedded(file.getvalue()) == Embedded(creator="Pia")
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()

    tags = ImageFileDirectory_v2()
    tags[ARTIST], tags[COPYRIGHT] = "x" * 70_000, "Ann"
    block = b"II*\0" + (8).to_bytes(4, "little") + tags.tobytes(8)
    assert values_of(block, {ARTIST, COPYRIGHT}) == {COPYRIGHT: b"Ann\0"}
    assert len(values_of(block, {ARTIST}, longest=80_000)[ARTIST]) == 70_001


def test_texts_that_are_too_long_are_soon_given_up(monkeypatch):
    unpacked = []
    monkeypatch.setattr(packets, "_unpacked", lambda packed: unpacked.append(packed) or b"")
    file, texts = io.BytesIO(), PngInfo()
    for _ in range(200):
        texts.add_text("Title", "0", zip=True)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=texts)
    assert not read_embedded(file.getvalue())
    assert 1 < len(unpacked) <= 32


def test_a_packet_that_declares_entities_is_left_alone():
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    hostile = xmp(listed("dc:creator", "Seq", ["<rdf:li>&b;</rdf:li>"]))
    assert read_xmp(hostile.replace(b"<x:xmpmeta", laughs + b"<x:xmpmeta", 1)) == {}
    assert read_xmp(xmp("<dc:title>" * 2000 + "</dc:title>" * 2000)) == {}
    assert read_xmp(b"no xml") == {}


def test_controls_and_endless_texts_become_a_line_that_a_field_holds():
    names = [f"<rdf:li>Name&#x9;{number}\nof\u202e many</rdf:li>" for number in range(400)]
    said = read_embedded(saying(1, packet=xmp(listed("dc:creator", "Seq", names))))
    assert said.creator.startswith("Name 0 of\u202e many; Name 1 ")
    assert len(said.creator) == 512
    assert said.creator.endswith("…")


def test_what_is_stated_wins_and_what_is_held_is_not_replaced():
    said = Embedded("T", "C", "L", {"copyright": "R"})
    assert filled({}, said) == {
        "title": "T",
        "creator": "C",
        "licence": "L",
        "metadata": {EMBEDDED: {"copyright": "R"}},
    }
    stated = {"title": "mine", "metadata": {"a": 1}}
    assert filled(stated, said)["title"] == "mine"
    assert filled(stated, said)["metadata"] == {"a": 1, EMBEDDED: {"copyright": "R"}}
    assert filled({"metadata": {EMBEDDED: {}}}, said)["metadata"] == {EMBEDDED: {}}
    assert stated == {"title": "mine", "metadata": {"a": 1}}


def test_metadata_never_grows_beyond_what_is_stored():
    said = Embedded(further={"copyright": "R", "keywords": ["x" * 500] * 50})
    whole = filled({"metadata": {"note": "y" * (METADATA_BYTES - 400)}}, said)
    assert whole["metadata"][EMBEDDED] == {"copyright": "R"}
    assert json_object("metadata", whole["metadata"])


@settings(max_examples=30)
@given(
    st.sampled_from(
        [
            saying(1, packet=WHOLE, block=iptc((2, 80, b"I")), exif={ARTIST: "E"}),
            written("PNG"),
            written("WEBP"),
            written("TIFF"),
        ]
    ),
    st.lists(
        st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
    ),
)
def test_whatever_the_bytes_an_answer_comes_back(data, damage):
    damaged = bytearray(data)
    for place, content in damage:
        damaged[place : place + len(content)] = content
    assert isinstance(read_embedded(bytes(damaged)), Embedded)
    assert isinstance(read_embedded(bytes(damaged[: damage[0][0]])), Embedded)
