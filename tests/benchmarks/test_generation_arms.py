"""The table of the arms, and with the extra the whole way from a base model to a record."""

from dataclasses import asdict, replace
from importlib.util import find_spec

import arm_table
import base_model
import context_arms
import numpy as np
import pytest
import torch
from arm_table import CONTRASTS, PAPER, markdown, summary
from base_model import Base, train_base
from context_arms import REAL, run, shown
from PIL import Image
from pixels import Judge
from shared import Trial
from sheet import SCALE, sheet
from small_model import DESCRIPTOR
from world import KINDS, POSES, TEXTURES

from attribution.synthesis.context.captioner import Context
from attribution.synthesis.context.prompts import prompt
from attribution.synthesis.diffusion.networks import load_networks
from attribution.synthesis.diffusion.painter import paint

TABLE = ("real only", *PAPER)
EXTRA = ("diffusers", "peft", "transformers")


def record(arm, seed, right, **other):
    found = {"information": 1.0, "expected": 0.5, "p_value": 0.001}
    about = {"texture": found, "pose": found, "left_out": 2} | other
    if arm == "real only":
        about["few"] = {"texture": found, "pose": found}
        about["judge"] = {"class": 0.9, "texture": 0.95, "pose": 0.8}
    classes = {name: [0.5, 0.7] for name in arm_table.OF_CLASSES}
    return {"arm": arm, "seed": seed, "weight": 0.0, "noise": 0.0, "samples": {"right": right},
            "classes": classes, "about": about,
            "cpu_seconds": {"making": 1.0, "classifying": 2.0}}  # fmt: skip


def test_the_interaction_is_what_both_do_beyond_what_each_does():
    rng = np.random.default_rng(0)
    records, right = [], {}
    for seed in range(3):
        for arm in TABLE:
            chance = 0.9 if arm == "both" else 0.4
            right[arm, seed] = (rng.random(200) < chance).astype(int).tolist()
            records.append(record(arm, seed, right[arm, seed]))
    found = summary(records, draws=200)
    value, low, high = found["contrasts"]["interaction"]["accuracy"]
    means = {arm: np.mean([right[arm, seed] for seed in range(3)]) for arm in TABLE}
    own = means["both"] - means["preservation"] - means["marginalisation"] + means["neither"]
    assert value == pytest.approx(own, abs=1e-4)
    assert low < value < high
    assert low > 0.3
    assert found["contrasts"]["interaction"]["recall"] == [0, 0, 0]
    assert found["levels"]["list"]["frechet"][0] == pytest.approx(0.6)
    assert found["left_out"]["both"] == 6
    assert list(found["context"])[:2] == ["the few real", "other real"]
    text = markdown(found)
    assert "| both | 0.9" in text or "| both | 0.8" in text
    assert "0.738" in text
    assert "| interaction | +" in text
    assert "finds the pose in 80.0%" in text


def test_the_papers_own_figures_have_the_contrast_that_is_the_endpoint():
    def of(name):
        return sum(weight * PAPER[arm] for arm, weight in CONTRASTS[name].items())

    assert of("interaction") == pytest.approx(0.0575)
    assert of("preservation - neither") == pytest.approx(-0.021)


def test_a_sheet_has_a_line_an_arm():
    image = Image.new("RGB", (32, 32), "red")
    page = sheet({"real": [[image] * 2] * 3, "both": [[image] * 5] * 3})
    assert page.size[1] == 2 * (32 * SCALE + 6)
    assert page.getpixel((page.width - 10, page.height - 12)) == (255, 0, 0)


@pytest.mark.skipif(
    not all(map(find_spec, EXTRA)), reason="the extra `generation` is not installed"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
class TestWithTheExtra:
    @pytest.fixture(scope="class")
    def tiny(self):
        pace = replace(base_model.QUICK.denoiser, steps=6, batch=4, keep_every=3)
        size = replace(base_model.QUICK.size, unet=(16, 16), heads=2, text=16, text_layers=1,
                       autoencoder=(8, 8))  # fmt: skip
        quick = context_arms.QUICK
        return replace(
            quick,
            base=Base(size, 60, replace(pace, steps=4), pace),
            shots=2,
            validation=2,
            tuning=quick.tuning.model_copy(update={"epochs": 1, "rank": 2}),
            sampling=replace(quick.sampling, each=4, steps=1),
            classifier=replace(quick.classifier, epochs=1, warmup=0),
        )

    @pytest.fixture(scope="class")
    def model(self, tiny, tmp_path_factory):
        return train_base(tiny.base, tmp_path_factory.mktemp("base"))

    def test_the_base_is_a_folder_of_diffusers_whose_every_word_is_a_token(self, tiny, model):
        networks = load_networks(model)
        tokenizer = networks.pipeline.tokenizer
        for kind, texture, pose in zip(KINDS, TEXTURES * 2, POSES * 4, strict=False):
            said = prompt(kind, Context(texture, pose), descriptor=DESCRIPTOR)
            words = said.replace("-", " - ").replace(",", " , ").split()
            ids = tokenizer(said).input_ids
            assert len(ids) == len(words) + 2 <= tiny.base.size.tokens
            assert tokenizer.unk_token_id not in ids[1:-1]
        assert networks.noise.config.prediction_type == "v_prediction"
        assert float(networks.noise.alphas_cumprod[-1]) < 1e-6
        [image] = paint(networks, [(said, 3)], steps=2)
        assert image.size == (32, 32)
        assert train_base(tiny.base, model.parent) == model

    def test_arms_share_a_tuning_and_a_record_has_what_the_table_wants(self, tiny, model, tmp_path):
        torch.manual_seed(0)
        judge, pictures = Judge().eval(), shown(0, tiny)
        records = []
        for arm in (REAL, "marginalisation", "neither"):
            found = run(Trial(arm, 0), tiny, model, judge, pictures, tmp_path)
            records.append(asdict(Trial(arm, 0)) | found)
            assert len(found["samples"]["right"]) == 960
        folders = sorted(path.name for path in (tmp_path / "seed0").iterdir())
        assert folders == ["marginalisation", "neither", "tuning-plain"]
        assert len(records[1]["classes"]["recall"]) == 10
        table = summary(records, draws=20)
        assert "marginalisation - neither" in table["contrasts"]
        assert "interaction" not in table["contrasts"]
