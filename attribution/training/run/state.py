"""All that a run changes as it goes on: networks, optimiser, weight average and precision."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from attribution.training.distributed import share_batch_norm
from attribution.training.objective.objective import Objective
from attribution.training.recipe.config import OWN, TrainingConfig
from attribution.training.recipe.precision import Precision
from attribution.training.recipe.preflight import UnfitRun
from attribution.training.recipe.scope import freeze, frozen_blocks
from models.backbones.features import Backbone
from models.backbones.residual import ResidualNet
from models.images.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is and all that it changes, but the number of the step."""

    config: TrainingConfig
    digest: str
    """Of the images, those held out included."""
    net: Backbone
    objective: Objective
    average: AveragedModel
    optimizer: AdamW
    precision: Precision


def new_run(
    config: TrainingConfig,
    digest: str,
    device: str,
    initial: Backbone | None,
    shape: Preprocessing,
) -> Run:
    """A run at step 0, seeded by its recipe.

    Args:
        config: the recipe.
        digest: of the images.
        device: `cpu` or `cuda`.
        initial: a network that the run starts from; the project's own from scratch if None.
        shape: as which the network sees images.
    """
    torch.manual_seed(config.seed)
    net = _network(config, initial)
    freeze(net, config.scope)
    net = net.to(device).to(memory_format=torch.channels_last)
    objective = Objective(net, config, shape).to(device)
    average = AveragedModel(
        net,
        multi_avg_fn=get_ema_multi_avg_fn(config.average),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    share_batch_norm(net)
    share_batch_norm(objective)
    parameters = _decayed(net, objective, config.weight_decay)
    optimizer = AdamW(parameters, lr=config.learning_rate)
    begun = len(frozen_blocks(net, config.scope)) if config.cached_views else 0
    precision = Precision(config, device, shape, begun=begun)
    return Run(config, digest, net, objective, average, optimizer, precision)


def _network(config: TrainingConfig, initial: Backbone | None) -> Backbone:
    """One of the run's own, so that the network given stays as it is."""
    if config.backbone != OWN:
        if initial is None:
            raise UnfitRun(f"{config.backbone} is not trained from scratch: give its weights")
        return deepcopy(initial).requires_grad_(requires_grad=True)
    net = ResidualNet(config.widths, config.blocks)
    if initial is not None:
        net.load_state_dict(initial.state_dict())
    return net


def _decayed(net: Backbone, objective: Objective, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and kernels, not norms, biases or the unmixing matrix."""
    learning = [*net.parameters(), *objective.alignment.parameters()]
    parameters = [parameter for parameter in learning if parameter.requires_grad]
    unmixing = [] if objective.infomax is None else list(objective.infomax.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1] + unmixing, "weight_decay": 0.0},
    ]
