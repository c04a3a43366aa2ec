"""From drawn pictures by the product's own commands to R@K, at a tiny size."""

from importlib.util import find_spec

import pytest
from PIL import Image
from single_exemplars import CONTEXTS, DEPTHS, Scale, draw_gallery, run, table
from world import CLASSES, KINDS, MARKS, OUTLINES

from tests.support.tiny_diffusion import SIDE, write_checkpoint


def test_exemplars_have_names_that_say_nothing_and_pixels_of_their_own(tmp_path):
    exemplars, others = draw_gallery(tmp_path, Scale(30, 5, each=1, epochs=1))
    names = [file.stem for file in sorted(exemplars.glob("*.png"))]
    assert len(names) == 30
    said = {*OUTLINES, *MARKS, *(KINDS[kind] for kind in CLASSES)}
    assert said.isdisjoint(names)
    held = [*exemplars.glob("*.png"), *others.glob("*.png")]
    assert len({Image.open(file).tobytes() for file in held}) == 35


@pytest.mark.skipif(
    not all(map(find_spec, ("diffusers", "peft", "transformers"))),
    reason="the extra `generation` is not installed",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_images_of_two_exemplars_are_made_and_ranked_among_a_gallery(tmp_path):
    scale = Scale(exemplars=2, others=3, each=2, epochs=1, steps=1, side=SIDE)
    found = run(write_checkpoint(tmp_path / "tiny"), tmp_path / "run", scale)
    assert list(found) == list(CONTEXTS)
    for row in found.values():
        assert (row["queries"], row["exemplars"], row["gallery"]) == (4, 2, 5)
        values = [row["figures"][f"R@{depth}"][0] for depth in DEPTHS]
        assert values == sorted(values)
        assert values[1:] == [1, 1]  # of five pictures
    first, second = (
        (tmp_path / "run" / name / "tuning" / "pytorch_lora_weights.safetensors").read_bytes()
        for name in CONTEXTS
    )
    assert first == second
    assert "| `none` | 4 | " in table(found)
