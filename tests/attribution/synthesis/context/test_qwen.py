"""Where the captioner's library or weights are missing, it says what to supply."""

from importlib.util import find_spec

import pytest

from attribution.synthesis.context import qwen
from attribution.synthesis.context.qwen import NoCaptioner, QwenCaptioner


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(qwen, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"attribution\[generation\]"):
        QwenCaptioner(descriptor="bird")


@pytest.mark.skipif(
    find_spec("transformers") is None, reason="the extra `generation` is not installed"
)
def test_a_folder_without_weights_is_named_with_what_belongs_there(tmp_path):
    with pytest.raises(NoCaptioner, match=r"Give a local folder with config\.json"):
        QwenCaptioner(str(tmp_path), descriptor="bird")
