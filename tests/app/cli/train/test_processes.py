"""`attribution train` under torchrun: all processes learn, and one leaves the encoder."""

import json
import os

from tests.support.pictures import draw
from tests.support.terminal import call
from tests.support.torchrun import on_two_processes

RECIPE = {
    "widths": [8, 8, 16, 16],
    "blocks": [0, 1, 0, 0],
    "image_side": 32,
    "batch": 8,
    "stages": [{"size": 32, "steps": 2}],
    "warmup": 1,
    "projection": 16,
}


def main(folder):
    done = call(
        *("train", folder / "images", "--out", folder / "run", "--config", folder / "recipe.json"),
        *("--components", 8, "--held-out", 0),
    )
    head = call("train", folder / "images", "--out", folder / "head", "--scope", "head")
    told = {"code": done.code, "out": done.out, "err": done.err, "head": head.err}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(told))


def test_the_first_process_alone_fits_the_head_and_says_what_it_left_out(tmp_path):
    draw(tmp_path / "images", range(16))
    (tmp_path / "images" / "broken.jpg").write_bytes(b"none")
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE))
    on_two_processes(main, tmp_path)
    first, second = (json.loads((tmp_path / f"{each}.json").read_text()) for each in (0, 1))
    assert first["code"] == 1, first["err"]
    assert "encoder: model_id" in first["out"]
    assert "broken.jpg" in first["err"]
    refusal = second.pop("head")
    assert "one process: leave torchrun out" in refusal == first["head"]
    assert not (tmp_path / "head").exists()
    assert second == {"code": 0, "out": "", "err": ""}
