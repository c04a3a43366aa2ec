"""A gallery in Python: the same answers as the terminal's, beside others, and in bounded memory."""

import io
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

import attribution
from attribution import Attribution, Gallery, asking
from attribution.catalog import CatalogMissing, CollectionNotFound
from attribution.gallery.gallery import GalleryClosed
from attribution.ingestion import ManifestUnreadable
from attribution.synthesis.photographs import bundled_photographs
from models.images.decoding import decode
from models.images.errors import ImageError
from tests.support.encoders import make_encoder
from tests.support.pictures import draw, picture, variation
from tests.support.rights import iptc, saying

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("encoder") / "small"
    make_encoder(folder, 1)
    return str(folder)


@pytest.fixture(scope="module")
def held(tmp_path_factory, encoder) -> Path:
    """The folder of a gallery with seven sources; read it, do not write."""
    folder = tmp_path_factory.mktemp("held")
    with Gallery.open(folder / "data", encoder=encoder) as gallery:
        gallery.add(draw(folder / "pictures", range(5)), creator="A folder")
        gallery.add(
            [
                picture(5),
                {
                    "image": picture(6),
                    "title": HOSTILE,
                    "collection": "other",
                    "metadata": {"do_not_train": True},
                },
            ],
            licence="CC0-1.0",
        )
    return folder / "data"


@pytest.fixture
def gallery(held, encoder):
    with Gallery.open(held, encoder=encoder) as opened:
        yield opened


def test_what_was_added_is_there_and_is_found(gallery):
    assert len(gallery) == 7
    sources = list(gallery)
    assert [source.creator for source in sources] == ["A folder"] * 5 + [None] * 2
    assert [source.licence for source in gallery.sources(licence="CC0-1.0")] == ["CC0-1.0"] * 2
    assert [source.title for source in gallery.sources(collections="other")] == [HOSTILE]
    answers = gallery.attribute([picture(5), variation(3)], top_k=2)
    assert all(isinstance(answer, Attribution) for answer in answers)
    assert [answer.sources[0].source.source_id for answer in answers] == [
        sources[5].source_id,
        sources[3].source_id,
    ]
    assert answers[0].sources[0].match == "identical"
    assert len(answers[1].sources) == 2
    [only] = gallery.attribute(picture(6), collections=["other"])
    assert [ranked.source.title for ranked in only.sources] == [HOSTILE]


def test_answers_are_those_of_the_terminal(gallery, held, encoder):
    from tests.support.terminal import call  # noqa: PLC0415  # torch and the whole terminal

    query = held.parent / "query.jpg"
    query.write_bytes(variation(2))
    done = call("query", query, "--data", held, "--encoder", encoder, "--json")
    [answer] = gallery.attribute(query)
    assert [each["source_id"] for each in done.document["sources"]] == [
        each.source.source_id for each in answer.sources
    ]
    assert done.document["p_value"] == answer.p_value
    assert done.document["sources"][0]["score"] == pytest.approx(answer.sources[0].score, abs=1e-4)


def test_a_stream_holds_few_pictures_and_goes_on_after_a_broken_one(gallery, monkeypatch):
    gone, alive, read = [], [], asking.read_query

    def watched(image, limits, **options):
        found = read(image, limits, **options)
        weakref.finalize(found.decoded.image, gone.append, None)
        alive.append(1 + len(alive) - len(gone))
        return found

    monkeypatch.setattr(asking, "read_query", watched)
    images = (b"broken" if seed == 40 else variation(seed % 7) for seed in range(56))
    found = [answer for _, answer in gallery.stream(images, top_k=1)]
    assert isinstance(found.pop(40), ImageError)
    assert {answer.index_generation for answer in found} == {7}
    assert max(alive) <= 48


def test_what_cannot_be_read_is_named(gallery, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(ImageError) as refused:
        gallery.attribute([picture(1), tmp_path / "broken.jpg"])
    assert refused.value.__notes__ == [f"image 2: {tmp_path / 'broken.jpg'}"]
    with pytest.raises(FileNotFoundError):
        gallery.attribute(tmp_path / "gone.jpg")
    with pytest.raises(CollectionNotFound):
        gallery.attribute(picture(1), collections=["nowhere"])


def test_a_sheet_shows_pictures_and_no_name_runs(gallery):
    sheet = gallery.attribute([picture(6), picture(1)], top_k=2)
    html = sheet._repr_html_()
    assert html.count("<img ") == 2 + 4
    assert html.count("data:image/jpeg;base64,") == html.count("src=")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in html
    assert "attributed" in html
    assert 1 <= html.count("may not be trained on") <= 2, "under one source, of each image"
    shown = gallery.explain(picture(6))
    assert shown.heat(1)[0].size == picture(6).size
    assert shown.regions.mode == "RGB"
    assert shown.evidence(1).size == picture(6).size
    assert shown._repr_html_().count("<img ") == 2 + 3 * len(shown.previewed)
    assert "<script" not in shown._repr_html_()
    assert "<td" in gallery._repr_html_()


def test_a_photograph_that_may_lie_is_found_by_setting_it_upright(tmp_path, encoder):
    image = next(each.image for each in bundled_photographs() if each.name == "astronaut")
    upright = image.convert("RGB").resize((160, 160))
    lying = upright.transpose(Image.Transpose.ROTATE_270)
    with Gallery.open(tmp_path / "data", encoder=encoder) as gallery:
        gallery.add([upright, *(picture(seed) for seed in range(3))])
        [stands, lies] = (
            gallery.explain(each, alpha=0.5, any_way_up=True) for each in (upright, lying)
        )
    assert [each.attribution.turned for each in (stands, lies)] == [0, 270]
    one, other = (each.explanation.sources[0] for each in (stands, lies))
    assert one.source_id == other.source_id
    assert np.array_equal(np.rot90(one.query, 3), other.query)
    assert np.array_equal(one.source, other.source)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_opened_from_a_file_is_as_upright_as_the_file(gallery, tmp_path, form):
    says = Image.Exif()
    says[ExifTags.Base.Orientation] = 6  # it lies on its side
    picture(3).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lies", form, exif=says)
    with Image.open(tmp_path / "lies") as opened:
        by_path, in_memory = gallery.attribute([tmp_path / "lies", opened], top_k=1)
    assert in_memory.sources[0].source == by_path.sources[0].source
    assert in_memory.sources[0].score == pytest.approx(by_path.sources[0].score, abs=1e-4)


def test_levels_of_16_bits_are_seen_in_either_order_of_bytes():
    levels = np.linspace(0, 65535, 48 * 64).reshape(48, 64)
    little = Image.fromarray(levels.astype("<u2"))
    big = Image.frombytes("I;16B", (64, 48), levels.astype(">u2").tobytes())
    seen = [decode(asking.bytes_of(each)).image for each in (little, big)]
    assert seen[0] == seen[1]
    assert seen[0].getextrema()[0] == (0, 255)


def test_what_is_transparent_in_memory_stays_so():
    clear = picture(1).quantize(8).convert("PA")
    clear.putalpha(0)
    assert Image.open(io.BytesIO(asking.bytes_of(clear))).has_transparency_data


def test_a_closed_gallery_says_so_and_its_sheet_still_shows(held, encoder):
    with Gallery.open(held, encoder=encoder) as opened:
        sheet = opened.attribute(picture(1), top_k=1)
    assert "no picture any more" in sheet._repr_html_()
    with pytest.raises(GalleryClosed, match="open it again"):
        opened.attribute(picture(1))


def test_others_may_use_the_folder_meanwhile(held, encoder, tmp_path):
    data = tmp_path / "data"
    with Gallery.open(data, encoder=encoder) as ours, Gallery.open(data, encoder=encoder) as others:
        with pytest.raises(CatalogMissing):
            ours.attribute(picture(1))
        assert not data.exists()
        assert ours.add(picture(1)).added == 1
        assert ours.add(picture(1)).unchanged == 1
        assert ours.attribute(picture(2))[0].sources[0].rank == 1
        assert others.add([picture(2), saying(3, block=iptc((2, 80, b"Ann")))]).added == 2
        [answer] = ours.attribute(picture(2))
        assert answer.sources[0].match == "identical"
        assert [source.creator for source in ours] == [None, None, "Ann"]
        with others._catalog_to_write() as catalog:
            catalog.delete(source_ids=[answer.sources[0].source.source_id])
        assert ours.attribute(picture(2))[0].sources[0].match is None


@pytest.mark.parametrize(
    ("images", "stated", "error"),
    [
        ([3], {}, TypeError),
        ([{"title": "no image"}], {}, TypeError),
        ([{"image": picture(1), "tittle": "x"}], {}, TypeError),
        ([picture(1)], {"tittle": "x"}, TypeError),
        (["/nowhere"], {}, ManifestUnreadable),
    ],
)
def test_what_is_no_picture_is_refused(gallery, images, stated, error):
    with pytest.raises(error):
        gallery.add(images, **stated)


def test_importing_the_package_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'PIL', 'sqlalchemy', 'importlib.metadata'}"
    code = f"import attribution, sys; print(sorted({heavy} & set(sys.modules)), dir(attribution))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] [")
    assert "'Gallery'" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'Galery'"):
        attribution.Galery  # noqa: B018
