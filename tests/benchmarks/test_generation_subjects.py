"""The bench of a part for subjects: what it reads, joins and keeps, without a pass too many."""

import numpy as np
import pytest
import torch
from kept_descriptors import KeptDescriptors
from PIL import Image
from subject_pairs import CONTEXTS, OWN, as_pictures, joined, own_benchmark, pixels_of

from attribution.evaluation.benchmark.cases import file_picture
from models import load_encoder
from models.heads import AffineMap, HeadPart
from tests.support.pictures import picture


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for number in range(12):
        picture(number, (48, 40)).save(folder / f"{number:02d}.png")
    return [file_picture(file.name, file) for file in sorted(folder.glob("*.png"))]


def test_a_fourth_part_leaves_the_others_as_they_are(encoder, files):
    kept = [each.load() for each in files]
    columns = torch.arange(6)
    part = HeadPart("subject", AffineMap(torch.zeros(6), torch.eye(6)[:, :4], columns))
    reference = torch.randn(12, encoder.backbone.dimension, generator=torch.manual_seed(0))
    plain = joined(encoder, [], reference)
    more = joined(encoder, [part], reference)
    alone = joined(encoder, [part], reference, alone=True)
    assert [each.name for each in more.parts][-1] == "subject"
    enough = torch.zeros(len(encoder.reference), encoder.backbone.dimension)
    assert np.array_equal(joined(encoder, [], enough).reference, encoder.reference)
    rows, wide, narrow = (each.encode(kept[:3], domain="query") for each in (plain, more, alone))
    own = rows.shape[1] // 2
    assert wide[:, :own] == pytest.approx(rows[:, :own], abs=1e-6)
    assert wide[:, own : own + 5] == pytest.approx(narrow[:, :5], abs=1e-6)


def test_a_composite_asks_for_its_subject_and_again_for_its_context(files):
    cases, sources = own_benchmark(files, 32)
    assert [case.set for case in cases] == [OWN] * 12 + [CONTEXTS] * 12
    asked = [[case.truths[0].key for case in cases[start : start + 12]] for start in (0, 12)]
    names = [each.key for each in files]
    assert asked[0] == names
    assert asked[1] == [names[row] for row in sources[:, 1].tolist()]
    assert all(first != second for first, second in zip(*asked, strict=True))
    assert cases[0].picture.load().tobytes() == cases[12].picture.load().tobytes()


def test_descriptors_are_kept_by_their_pixels(encoder, files, tmp_path):
    kept, images = KeptDescriptors(encoder, tmp_path), [each.load() for each in files[:3]]
    rows = kept(images)
    again = KeptDescriptors(encoder, tmp_path)
    again._describe = None
    assert np.array_equal(again([images[2], images[0]]), rows[[2, 0]])
    with pytest.raises(TypeError):
        again([Image.new("RGB", (9, 9))])


def test_pixels_and_pictures_are_each_others(files):
    pixels = pixels_of(files[:2], 16)
    assert pixels.shape == (2, 3, 16, 16)
    shown = as_pictures(pixels)
    assert np.asarray(shown[0]) == pytest.approx(255 * pixels[0].permute(1, 2, 0).numpy(), abs=0.6)
