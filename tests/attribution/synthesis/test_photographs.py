import socket

import numpy as np
import pytest
from PIL import Image

from attribution.synthesis import bundled_photographs, photographs


def test_at_least_twenty_different_photographs_without_a_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a photograph was fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = bundled_photographs()
    assert len(found) >= 20
    assert len({photograph.name for photograph in found}) == len(found)
    assert {photograph.origin for photograph in found} == {"scikit-image", "scikit-learn"}
    for photograph in found:
        assert photograph.image.mode == "RGB"
        assert min(photograph.image.size) >= 100
        assert photograph.licence


def test_no_two_show_the_same_thing():
    thumbnails = np.stack(
        [
            np.asarray(p.image.convert("L").resize((16, 16), Image.Resampling.BOX), float).ravel()
            for p in bundled_photographs()
        ]
    )
    correlations = np.corrcoef(thumbnails) - np.eye(len(thumbnails))
    assert correlations.max() < 0.95


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(photographs, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "attribution\[synthesis\]"'):
        bundled_photographs()


def test_a_missing_file_says_how_to_get_it_back(tmp_path):
    with pytest.raises(FileNotFoundError, match="--force-reinstall"):
        photographs._read(tmp_path / "astronaut.png")
