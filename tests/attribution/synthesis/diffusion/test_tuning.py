"""Real classes of diffusers on tiny random checkpoints: loads, learns, resumes, generates."""

import json
import os
import signal
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

from attribution.synthesis.context.making import make_images
from attribution.synthesis.diffusion.networks import NoModel, load_networks
from attribution.synthesis.diffusion.painter import Painter, paint
from attribution.synthesis.diffusion.recipe import TuningRecipe
from attribution.synthesis.diffusion.tuning import (
    CHECKPOINT,
    Diverged,
    ForeignTuning,
    Shot,
    Tuning,
)
from attribution.synthesis.diffusion.updates import FILE
from tests.support.forks import Fork
from tests.support.planned import DESCRIBED, PICTURES, plan
from tests.support.tiny_diffusion import SIDE, write_checkpoint
from tests.support.waiting import PATIENCE

EXTRA = ("diffusers", "peft", "transformers")
pytestmark = [
    pytest.mark.skipif(
        not all(map(find_spec, EXTRA)), reason="the extra `generation` is not installed"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

RECIPE = TuningRecipe(
    size=SIDE, rank=4, batch=3, epochs=4, warmup=1, learning_rate=0.02, checkpoint_every=2,
    sample_every=0,
)  # fmt: skip
SHOTS = tuple(Shot(PICTURES[row.image], f"a photo of a {row.class_name}") for row in DESCRIBED[:5])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    """The folder of a whole run, and the losses on its way."""
    out, losses = tmp_path_factory.mktemp("tuned"), []
    tuning = Tuning(load_networks(folder), SHOTS, RECIPE, out)
    file = tuning.run(lambda step, loss: losses.append((step, loss)))
    assert file == out / FILE
    return out, losses


def test_the_tokenizer_and_the_networks_are_those_of_the_folder(folder):
    networks = load_networks(folder)
    words = networks.pipeline.tokenizer("photo pho").input_ids
    text = networks.pipeline.tokenizer.decode(words, skip_special_tokens=True)
    assert text.strip() == "photo pho"
    assert networks.name == f"tiny-{networks.digest[:12]}"
    assert load_networks(folder).digest == networks.digest


def test_no_picture_is_made_black_by_a_checker(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "checked", checked=True)
    assert (checkpoint / "safety_checker").is_dir()
    assert load_networks(checkpoint).pipeline.safety_checker is None


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "xl"])
def test_the_loss_on_one_batch_falls_and_only_updates_learn(tmp_path, kind):
    prediction = "epsilon" if kind == "xl" else kind
    checkpoint = write_checkpoint(
        tmp_path / "model", extra_large=kind == "xl", prediction=prediction
    )
    networks = load_networks(checkpoint)
    frozen = {n: p.clone() for n, p in networks.pipeline.unet.named_parameters()}
    recipe = RECIPE.model_copy(update={"epochs": 7, "learning_rate": 0.05})
    tuning = Tuning(networks, SHOTS[:1], recipe, tmp_path)
    with torch.no_grad():
        before = float(tuning._loss(0))
        assert float(tuning._loss(0)) == before
    tuning._loss = lambda step, own=tuning._loss: own(0)  # the same batch at every step
    updates = tuning.run()
    with torch.no_grad():
        after = float(tuning._loss(0))
    assert after < 0.98 * before
    for name, parameter in networks.pipeline.unet.named_parameters():
        plain = name.replace(".base_layer", "")
        if plain in frozen:
            assert torch.equal(parameter, frozen[plain])
    asked = [(SHOTS[0].prompt, 1)]
    [image] = paint(networks, asked, steps=2, size=SIDE)
    fresh = Painter(load_networks(checkpoint), updates, steps=2, size=SIDE)
    assert np.abs(np.asarray(image, int) - np.asarray(fresh(asked)[0])).max() <= 1


def tune_until_killed(model, folder, threads):
    """Sums have the same order in as many threads."""
    torch.set_num_threads(threads)

    def kill(step, loss):
        if step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    Tuning(load_networks(model), SHOTS, RECIPE, folder).run(kill)


def test_a_run_that_is_killed_goes_on_to_the_same_updates(folder, tuned, tmp_path):
    whole, losses = tuned
    with Fork(tune_until_killed, folder, tmp_path, torch.get_num_threads()) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    again, later = Tuning(load_networks(folder), SHOTS, RECIPE, tmp_path), []
    assert again.step == 2  # of the last checkpoint
    again.run(lambda step, loss: later.append((step, loss)))
    assert later == losses[2:]
    assert (tmp_path / FILE).read_bytes() == (whole / FILE).read_bytes()


def test_every_epoch_sees_every_picture_and_samples_are_drawn(folder, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 2, "sample_every": 3, "sample_steps": 2})
    tuning = Tuning(load_networks(folder), SHOTS, recipe, tmp_path)
    assert tuning.steps == 4
    epochs = [tuning._batch(step) + tuning._batch(step + 1) for step in (0, 2)]
    assert [sorted(epoch) for epoch in epochs] == [[0, 1, 2, 3, 4]] * 2
    assert epochs[0] != epochs[1]
    cost = tuning.cost()
    assert (cost.steps, tuning.step) == (4, 0)
    assert 0 < cost.seconds < 60
    assert cost.memory > 1e8
    tuning.run()
    samples = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert samples == ["000003.png", "000004.png"]
    with Image.open(tmp_path / "samples" / samples[0]) as image:
        assert image.size == (SIDE, SIDE)


def test_planned_images_do_not_depend_on_those_before_and_updates_show(folder, tuned, tmp_path):
    painter = Painter(load_networks(folder), tuned[0] / FILE, steps=2, size=SIDE)
    planned = plan(1)
    made = make_images(planned, PICTURES, painter, tmp_path)
    rows = [json.loads(line) for line in made.manifest.read_text().splitlines()]
    assert made.images + made.left_out == 3
    for row in rows[::-1]:
        with Image.open(tmp_path / row["query"]) as image:
            [again] = painter([(row["prompt"], row["seed"])])
            assert image.tobytes() == again.tobytes()
    asked = [(row["prompt"], row["seed"]) for row in rows]
    for alone, beside in zip(map(painter, ([each] for each in asked)), painter(asked), strict=True):
        assert np.abs(np.asarray(alone[0], int) - np.asarray(beside)).max() <= 1
    untuned = Painter(load_networks(folder), steps=2, size=SIDE)
    assert untuned(asked[:1])[0].tobytes() != painter(asked[:1])[0].tobytes()
    assert painter.name.startswith(f"{untuned.name.split()[0]}+lora-")


def test_what_cannot_be_gone_on_with_is_refused(folder, tuned, tmp_path):
    networks = load_networks(folder)
    other = RECIPE.model_copy(update={"seed": 1})
    with pytest.raises(ForeignTuning, match="another recipe"):
        Tuning(networks, SHOTS, other, tuned[0])
    (tmp_path / CHECKPOINT).write_bytes((tuned[0] / CHECKPOINT).read_bytes()[:5000])
    with pytest.raises(ForeignTuning, match="remove it to begin anew"):
        Tuning(load_networks(folder), SHOTS, RECIPE, tmp_path)
    with pytest.raises(ValueError, match="no picture"):
        Tuning(networks, (), RECIPE, tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(folder, tmp_path):
    tuning = Tuning(load_networks(folder), SHOTS, RECIPE, tmp_path)
    tuning._loss = lambda step: torch.tensor(float("nan"))
    with pytest.raises(Diverged, match="at step 0"):
        tuning.run()


def test_what_is_no_model_is_named_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(NoModel, match=r"has no model_index\.json"):
        load_networks(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(NoModel, match="names none of StableDiffusionPipeline"):
        load_networks(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(NoModel, match="not a whole text-to-image model"):
        load_networks(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NoModel, match="Give a local folder in the layout of diffusers"):
        load_networks("nobody/nothing")
