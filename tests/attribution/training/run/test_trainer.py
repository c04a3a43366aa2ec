"""A run learns, resumes exactly, refuses another recipe and says when it collapses."""

import json

import pytest
import torch

from attribution.training.data.images import NoImages
from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.recipe.preflight import UnfitRun
from attribution.training.run.checkpoint import CHECKPOINT, DamagedRun, ForeignRun
from attribution.training.run.trainer import Trainer, TrainingCollapsed
from models.backbones.residual import ResidualNet
from tests.support.runs import Killed, image_set, killed_after, parameters

TINY = TrainingConfig(
    widths=(8, 16, 16, 32),
    blocks=(0, 1, 0, 0),
    image_side=48,
    batch=16,
    stages=(ResolutionStage(size=32, steps=4), ResolutionStage(size=48, steps=3)),
    warmup=2,
    projection=16,
    disentanglement="logdet",
    disentanglement_batches=3,
    queue=24,
    prototypes=20,
    prototype_freeze=2,
    teacher_temperature_warmup=3,
    checkpoint_every=1,
    monitor_every=1000,
)


def learnt(config, folder):
    """A run to its end: the trainer, and the averaged weights."""
    trainer = Trainer(config, image_set(), folder)
    return trainer, parameters(trainer.run())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """`TINY` to its end; its folder is only read."""
    return learnt(TINY, tmp_path_factory.mktemp("whole"))


VARIANTS = {
    "log-determinant": {},
    "koleo": {"disentanglement": "koleo"},
    "ica": {"disentanglement": "ica"},
    "nothing": {"disentanglement": "none", "views": "plain"},
    "guided": {"provenance_weight": 0.5, "provenance_mask": "random"},
    "moco": {"alignment": "moco"},
    "moco ica": {"alignment": "moco", "disentanglement": "ica"},
    "dino": {"alignment": "dino"},
    "dino koleo": {"alignment": "dino", "disentanglement": "koleo"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_killed_and_resumed_ends_with_equal_weights(tmp_path, variant, request):
    config = TINY.model_copy(update={"checkpoint_every": 4, **VARIANTS[variant]})
    deaths = [4]
    if variant == "log-determinant":
        config, deaths = TINY, [1, 5]
        trainer, wanted = request.getfixturevalue("whole")
    else:
        trainer, wanted = learnt(config, tmp_path / "whole")
    for last in deaths:
        folder = tmp_path / f"killed-{last}"
        killed = Trainer(config, image_set(), folder)
        assert not torch.equal(wanted, parameters(killed.net))
        with pytest.raises(Killed):
            killed.run(killed_after(last))
        resumed = Trainer(config, image_set(), folder)
        assert resumed.step == last
        assert torch.equal(parameters(resumed.run()), wanted)
        for kept, same in (
            (resumed.net, trainer.net),
            (resumed.objective.alignment, trainer.objective.alignment),
        ):
            assert torch.equal(parameters(kept), parameters(same))


def test_a_guided_run_sees_the_same_views_and_writes_what_it_is_guided_by(tmp_path):
    reports = {}
    for weight in (0.0, 1e-30, 0.5):
        update = {"provenance_weight": weight, "monitor_every": 7, "checkpoint_every": 7}
        config = TINY.model_copy(update=update)
        own = reports[weight] = []
        Trainer(config, image_set(), tmp_path / str(weight)).run(own.append)
    plain, weightless, guided = reports.values()
    for before, after in zip(plain, weightless, strict=True):
        assert after.terms["provenance"] > 0
        assert 0 < after.terms["gradient off target"] < 1
        assert {name: after.terms[name] for name in before.terms} == before.terms
        assert after.loss == before.loss
    assert guided[0].loss == pytest.approx(plain[0].loss + 0.5 * guided[0].terms["provenance"])
    assert guided[-1].terms["semantics"] != plain[-1].terms["semantics"]
    [line] = (tmp_path / "0.5" / "metrics.jsonl").read_text().splitlines()
    assert {"train/provenance", "train/gradient off target"} <= json.loads(line).keys()
    assert "provenance" not in (tmp_path / "0.0" / "metrics.jsonl").read_text()


def test_a_checkpoint_from_before_there_was_a_choice_is_resumed(tmp_path, whole):
    _, wanted = whole
    with pytest.raises(Killed):
        Trainer(TINY, image_set(), tmp_path / "old").run(killed_after(4))
    path = tmp_path / "old" / CHECKPOINT
    kept = torch.load(path, weights_only=True)
    recipe = json.loads(kept["config"])
    known = ("seed", "widths", "blocks", "image_side", "batch", "stages", "warmup", "projection")
    former = {name: recipe[name] for name in (*known, "checkpoint_every")}
    former |= {"logdet_weight": 0.1, "logdet_batches": 3}
    names = ("images", "step", "net", "objective", "recent", "average", "optimizer")
    torch.save({"config": json.dumps(former)} | {name: kept[name] for name in names}, path)
    with pytest.raises(ForeignRun, match="another recipe"):
        Trainer(TINY, image_set(), tmp_path / "old")
    # What an older recipe lacks has the default.
    config = TrainingConfig.model_validate(former)
    resumed = Trainer(config, image_set(), tmp_path / "old")
    assert resumed.step == 4
    assert torch.equal(parameters(resumed.run()), wanted)


def test_a_damaged_checkpoint_is_said_with_what_to_do(tmp_path):
    trainer = Trainer(TINY, image_set(), tmp_path)
    with pytest.raises(Killed):
        trainer.run(killed_after(4))
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"junk", b"not a checkpoint"):
        path.write_bytes(damaged)
        with pytest.raises(DamagedRun, match="delete it to start over"):
            Trainer(TINY, image_set(), tmp_path)
    torch.save({"step": 4}, path)
    with pytest.raises(DamagedRun, match="no checkpoint of a run"):
        Trainer(TINY, image_set(), tmp_path)


def test_a_run_killed_between_two_checkpoints_repeats_what_was_lost(tmp_path, whole):
    _, wanted = whole
    sparse = TINY.model_copy(update={"checkpoint_every": 3})
    with pytest.raises(Killed):
        Trainer(sparse, image_set(), tmp_path / "killed").run(killed_after(5))
    resumed = Trainer(sparse, image_set(), tmp_path / "killed")
    assert resumed.step == 3
    assert torch.equal(parameters(resumed.run()), wanted)


@pytest.mark.parametrize("alignment", ["simclr", "moco", "dino"])
def test_blocks_before_the_scope_keep_weights_and_statistics(tmp_path, alignment):
    torch.manual_seed(1)
    initial = ResidualNet(TINY.widths, TINY.blocks)
    update = {"scope": "last-2", "initial": "given", "alignment": alignment, "average": 0.0}
    update["checkpoint_every"] = 7
    trainer = Trainer(TINY.model_copy(update=update), image_set(), tmp_path, initial=initial)
    net, before = trainer.run(), initial.state_dict()
    changed = {name for name, value in net.state_dict().items() if not value.equal(before[name])}
    learning = {name for name in before if name.startswith(("stages.2.", "stages.3."))}
    assert changed == learning
    if alignment != "simclr":
        state = trainer.objective.alignment.teacher.net.state_dict()
        moved = {name for name, value in state.items() if not value.equal(before[name])}
        assert moved == learning


def test_what_cannot_run_is_refused_before_anything_is_read(tmp_path):
    def refused(match, **update):
        with pytest.raises(UnfitRun, match=match):
            Trainer(TINY.model_copy(update=update), None, tmp_path)

    refused("needs a GPU", precision="mixed")
    refused("from scratch", scope="last-1")
    refused("has 5 blocks", scope="last-6", initial="given")
    if not torch.cuda.is_available():
        with pytest.raises(UnfitRun, match="give cpu"):
            Trainer(TINY, None, tmp_path, "cuda")


def test_views_of_an_image_come_together(tmp_path):
    update = {"stages": (ResolutionStage(size=32, steps=60),), "checkpoint_every": 1000}
    update["learning_rate"] = 5e-3  # losses of three seeds fell to 0.64 - 0.75; at 1e-9 to 0.96
    terms = []
    trainer = Trainer(TINY.model_copy(update=update), image_set(), tmp_path)
    trainer.run(lambda report: terms.append(report.terms))
    losses = [term["semantics"] for term in terms]
    assert sum(losses[-20:]) < 0.85 * sum(losses[:20])


def test_another_recipe_in_the_same_folder_is_refused(whole):
    trainer, _ = whole
    with pytest.raises(ForeignRun, match="another recipe"):
        Trainer(TINY.model_copy(update={"seed": 1}), image_set(), trainer.folder)


def test_a_run_on_other_images_is_refused(whole):
    trainer, _ = whole
    with pytest.raises(ForeignRun, match="other images"):
        Trainer(TINY, image_set(39), trainer.folder)


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(NoImages, match="fewer than a batch"):
        Trainer(TINY, image_set(10), tmp_path)


def test_collapse_is_said(tmp_path):
    trainer = Trainer(TINY, image_set(), tmp_path)
    trainer.step = 5
    with pytest.raises(TrainingCollapsed, match="effective rank"):
        trainer._refuse_collapse(1.2)
    with pytest.raises(TrainingCollapsed, match="nan"):
        trainer._refuse_divergence(float("nan"))
