"""Networks like the published ones: what learns, what is cached, exact resume, losses that fall."""

import json

import pytest
import torch

from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.recipe.preflight import UnfitRun
from attribution.training.run import cached_views
from attribution.training.run.cached_views import VIEWS
from attribution.training.run.trainer import Trainer
from models.images.preprocessing import Preprocessing
from tests.support.runs import Killed, image_set, killed_after, parameters
from tests.support.tiny_backbones import tiny

SHAPE = Preprocessing(64, 64, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
TINY = TrainingConfig(
    backbone="tiny",
    initial="given",
    image_side=64,
    batch=12,
    stages=(ResolutionStage(size=32, steps=5),),
    warmup=1,
    learning_rate=1e-3,
    projection=16,
    disentanglement="logdet",
    disentanglement_batches=2,
    queue=24,
    prototypes=20,
    prototype_freeze=1,
    local_size=32,
    checkpoint_every=1,
    monitor_every=1000,
)


def trainer_of(kind, folder, **update):
    """A trainer; `update` goes by the validators of a recipe."""
    config = TrainingConfig.model_validate(TINY.model_dump() | update)
    return Trainer(config, image_set(30, 64), folder, initial=tiny(kind), shape=SHAPE)


VARIANTS = {
    "vit-simclr": ("vit", {"projector": "none", "disentanglement": "koleo"}),
    "vit-moco-cached": (
        "vit",
        {
            "alignment": "moco",
            "projector": "none",
            "scope": "last-1",
            "cached_views": 2,
            "seed": 2**39 - 1,  # the largest
        },
    ),
    "vit-dino-cached": (
        "vit",
        {"alignment": "dino", "local_crops": 2, "scope": "last-2", "cached_views": 1},
    ),
    "rope-dino-plain": (
        "rope",
        {"alignment": "dino", "local_crops": 3, "views": "plain", "projector": "linear"},
    ),
    "vit-guided": ("vit", {"provenance_weight": 0.1, "disentanglement": "ica"}),
    "resnet-moco": ("resnet", {"alignment": "moco", "projector": "linear", "scope": "last-2"}),
    "resnet-cached": ("resnet", {"scope": "last-1", "cached_views": 1, "disentanglement": "ica"}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_killed_and_resumed_ends_with_equal_weights(tmp_path, variant):
    kind, update = VARIANTS[variant]
    whole = trainer_of(kind, tmp_path / "whole", **update)
    before, terms = parameters(whole.net), []
    wanted = parameters(whole.run(lambda report: terms.append(report.terms)))
    assert not torch.equal(before, wanted)
    assert not {name for name in terms[0] if name.startswith(("structure", "appearance"))}
    with pytest.raises(Killed):
        trainer_of(kind, tmp_path / "killed", **update).run(killed_after(2))
    resumed = trainer_of(kind, tmp_path / "killed", **update)
    assert resumed.step == 2
    assert torch.equal(parameters(resumed.run()), wanted)


@pytest.mark.parametrize(
    ("kind", "scope", "frozen"),
    [("vit", "last-1", 2), ("registers", "last-2", 1), ("resnet", "last-2", 3)],
)
def test_blocks_before_the_scope_stay_as_they_are(tmp_path, kind, scope, frozen):
    size = (ResolutionStage(size=112, steps=2),) if kind == "registers" else TINY.stages
    update = {"scope": scope, "average": 0.0, "checkpoint_every": 9, "stages": size}
    net, initial = trainer_of(kind, tmp_path, **update).run(), tiny(kind)
    for number, (block, before) in enumerate(
        zip(net.blocks_of_network(), initial.blocks_of_network(), strict=True)
    ):
        pairs = list(zip(block.parameters, before.parameters, strict=True))
        for module, old in zip(block.modules, before.modules, strict=True):
            pairs += zip(module.state_dict().values(), old.state_dict().values(), strict=True)
        assert all(torch.equal(new, old) for new, old in pairs) == (number < frozen)


def test_cached_blocks_give_what_the_network_gives_of_pixels(tmp_path, monkeypatch):
    """Without rounding to float16 the first step has the loss of its views, seen whole."""
    drawn = []
    original = cached_views.draw_views
    monkeypatch.setattr(
        cached_views, "draw_views", lambda *given: drawn.append(original(*given)) or drawn[-1]
    )
    update = {"scope": "last-1", "cached_views": 1, "stages": [{"size": 32, "steps": 1}]}
    update |= {"disentanglement": "none", "batch": 30}
    trainer = trainer_of("vit", tmp_path, **update)
    reports = []
    trainer.run(reports.append)
    fresh = trainer_of("vit", tmp_path / "fresh", **update | {"cached_views": 0})
    # One batch is all: whatever the order of its pairs, mean terms are the same.
    loss = fresh.objective.train()(drawn[0], fresh.net, fresh._run.precision.describe, 0)
    for name, value in loss.terms.items():
        assert reports[0].terms[name] == pytest.approx(value, rel=2e-3), name


def test_epochs_take_the_sets_in_turn_in_new_batches(tmp_path):
    update = {"scope": "last-1", "cached_views": 2, "stages": [{"size": 32, "steps": 8}]}
    trainer = trainer_of("vit", tmp_path, **update)
    views = trainer.to_cache
    views.fill()
    epochs = [[views.views(2 * epoch + place) for place in range(2)] for epoch in range(4)]

    def rows(epoch):
        return torch.cat([batch.mild for batch in epochs[epoch]]).flatten(1)

    def held(epoch):
        return {tuple(row.tolist()) for row in rows(epoch)[:, :4]}

    assert held(0) == held(2)
    assert held(0).isdisjoint(held(1))
    assert not torch.equal(rows(0), rows(2))
    assert [len(each) for each in (epochs[0][0].mild, epochs[0][0].mixed)] == [12, 6]
    assert views.bytes == sum(
        (tmp_path / VIEWS / name).stat().st_size for name in ("views.f16", "done.u8")
    )


def test_a_cache_of_other_weights_or_views_is_made_again(tmp_path):
    update = {"scope": "last-1", "cached_views": 1}
    trainer_of("vit", tmp_path, **update).to_cache.fill()
    done = tmp_path / VIEWS / "done.u8"
    done.write_bytes(b"\x01\x00")  # as after a kill in the second batch
    filled = []
    trainer_of("vit", tmp_path, **update).to_cache.fill(lambda *so_far: filled.append(so_far))
    assert done.read_bytes() == b"\x01\x01"
    assert filled == [(1, 2), (2, 2)]
    key = json.loads((tmp_path / VIEWS / "key.json").read_text())
    trainer_of("vit", tmp_path, **update | {"seed": 1}).to_cache.fill()
    assert json.loads((tmp_path / VIEWS / "key.json").read_text()) == key | {"seed": 1}


def test_a_disk_without_room_is_said_before_anything_is_computed(tmp_path, monkeypatch):
    trainer = trainer_of("vit", tmp_path, scope="last-1", cached_views=1)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(cached_views.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UnfitRun, match=f"take {trainer.to_cache.bytes:,} bytes.* room for 1,000"):
        trainer.run()
    assert not (tmp_path / VIEWS).exists()


def test_what_a_network_cannot_do_is_refused(tmp_path):
    with pytest.raises(UnfitRun, match=r"patches of 14 pixels.* of 32 .* 112 or 224"):
        trainer_of("registers", tmp_path)
    with pytest.raises(UnfitRun, match="has 3 blocks"):
        trainer_of("vit", tmp_path, scope="last-4")
    with pytest.raises(UnfitRun, match="freezes nothing"):
        trainer_of("vit", tmp_path, scope="last-3", cached_views=1)
    with pytest.raises(UnfitRun, match="not trained from scratch"):
        Trainer(TINY, image_set(30, 64), tmp_path)


def test_losses_fall(tmp_path):
    update = {"disentanglement_weight": 1.0, "stages": [{"size": 32, "steps": 60}], "batch": 24}
    update |= {"projector": "none", "checkpoint_every": 60, "learning_rate": 3e-3, "warmup": 5}
    reports = []
    trainer_of("vit", tmp_path, **update, views="plain").run(reports.append)
    for name in ("semantics", "logdet"):
        first, last = (
            sum(report.terms[name] for report in part) / 10
            for part in (reports[:10], reports[-10:])
        )
        assert last < first - 0.1, name
