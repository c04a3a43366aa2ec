"""All that a run changes as it goes on: networks, optimiser, weight average and precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from attribution.training.distributed import share_batch_norm
from attribution.training.objective.objective import Objective
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.precision import Precision
from attribution.training.recipe.scope import freeze
from models.backbones.residual import ResidualNet


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is and all that it changes, but the number of the step."""

    config: TrainingConfig
    digest: str
    """Of the images, those held out included."""
    net: ResidualNet
    objective: Objective
    average: AveragedModel
    optimizer: AdamW
    precision: Precision


def new_run(config: TrainingConfig, digest: str, device: str, initial: ResidualNet | None) -> Run:
    """A run at step 0, seeded by its recipe.

    Args:
        config: the recipe.
        digest: of the images.
        device: `cpu` or `cuda`.
        initial: a network whose weights the run starts from; from scratch if None.
    """
    torch.manual_seed(config.seed)
    net = ResidualNet(config.widths, config.blocks)
    if initial is not None:
        net.load_state_dict(initial.state_dict())
    freeze(net, config.scope)
    net = net.to(device).to(memory_format=torch.channels_last)
    objective = Objective(net, config).to(device)
    average = AveragedModel(
        net,
        multi_avg_fn=get_ema_multi_avg_fn(config.average),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    share_batch_norm(net)
    share_batch_norm(objective)
    parameters = _decayed(net, objective, config.weight_decay)
    optimizer = AdamW(parameters, lr=config.learning_rate)
    return Run(config, digest, net, objective, average, optimizer, Precision(config, device))


def _decayed(net: ResidualNet, objective: Objective, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and kernels, not norms, biases or the unmixing matrix."""
    learning = [*net.parameters(), *objective.alignment.parameters()]
    parameters = [parameter for parameter in learning if parameter.requires_grad]
    unmixing = [] if objective.infomax is None else list(objective.infomax.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1] + unmixing, "weight_decay": 0.0},
    ]
