"""A run on two gloo processes under torchrun ends with the weights of one process."""

import pytest
import torch

from attribution.training.data.images import ImageSet
from attribution.training.distributed import process_group, rank, world_size
from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.run.trainer import Trainer
from tests.support.tiny_backbones import tiny
from tests.support.torchrun import on_two_processes

TINY = TrainingConfig(
    widths=(8, 8, 16, 16),
    blocks=(0, 1, 0, 0),
    image_side=32,
    batch=16,
    stages=(ResolutionStage(size=32, steps=4),),
    warmup=2,
    projection=16,
    disentanglement="logdet",
    disentanglement_batches=2,
    queue=24,
    prototypes=20,
    prototype_freeze=1,
    checkpoint_every=2,
)
VARIANTS = {
    "simclr": {},
    "simclr-plain": {"views": "plain", "disentanglement": "none"},
    "guided": {"disentanglement": "none", "provenance_weight": 0.5},
    "guided-random": {"provenance_weight": 0.5, "provenance_mask": "random", "views": "plain"},
    "moco": {"alignment": "moco", "disentanglement": "ica"},
    "dino": {"alignment": "dino", "disentanglement": "koleo"},
    "vit-moco-cached": {
        "backbone": "tiny",
        "alignment": "moco",
        "projector": "none",
        "scope": "last-1",
        "cached_views": 1,
    },
    "vit-dino": {"backbone": "tiny", "alignment": "dino", "local_crops": 2, "local_size": 32},
}


def run(variant, folder):
    """All weights after the run, in float64: AdamW would magnify what float32 rounds away."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (36, 3, 32, 32), generator=generator, dtype=torch.uint8)
    images = ImageSet(pixels, tuple(map(str, range(36))))
    update, initial = VARIANTS[variant], None
    if "backbone" in update:
        update, initial = update | {"initial": "given"}, tiny("vit")
    trainer = Trainer(TINY.model_copy(update=update), images, folder, initial=initial)
    for module in (trainer.net, trainer.objective, trainer.average):
        module.double()
    reports = []
    averaged = trainer.run(reports.append)
    parts = {"net": trainer.net, "objective": trainer.objective, "averaged": averaged}
    return {
        "losses": torch.tensor([report.loss for report in reports], dtype=torch.float64),
        **{
            f"{part}.{name}": value
            for part, module in parts.items()
            for name, value in module.state_dict().items()
        },
    }


def main(folder):
    with process_group("cpu"):
        for variant in VARIANTS:
            outcome = run(variant, folder / variant)
            torch.save(outcome, folder / f"{variant}-{rank()}-of-{world_size()}.pt")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Folder of what two processes computed."""
    folder = tmp_path_factory.mktemp("processes")
    on_two_processes(main, folder)
    return folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_processes_end_with_the_weights_of_one(several, tmp_path, variant):
    alone = run(variant, tmp_path)
    for process in range(2):
        shared = torch.load(several / f"{variant}-{process}-of-2.pt")
        assert shared.keys() == alone.keys()
        for name, wanted in alone.items():
            error = (shared[name].double() - wanted.double()).abs().max()
            # Positions of a ViT are resampled in float32 whatever the weights are.
            assert error < (1e-6 if variant.startswith("vit") else 1e-8), name


def test_the_first_process_alone_writes(several):
    for variant in VARIANTS:
        lines = (several / variant / "metrics.jsonl").read_text().splitlines()
        assert len(lines) == 1
        assert (several / variant / "checkpoint.pt").is_file()
