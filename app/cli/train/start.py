"""What a run of `attribution train` starts from: a network, and the card that it comes with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.cli.failures import BadInvocation
from attribution.training.recipe.config import OWN
from models.backbones.features import Backbone
from models.backbones.residual import ResidualNet
from models.card import Card
from models.checkpoints import load_backbone, read_card
from models.loading import encoder_folder, load_encoder


@dataclass(frozen=True, slots=True)
class Start:
    """A network to train further; `card` is None for the project's own, which gets a new one."""

    net: Backbone
    card: Card | None = None

    @property
    def fields(self) -> dict[str, object]:
        """What it decides on in a recipe."""
        if isinstance(self.net, ResidualNet):
            return {"backbone": OWN, "widths": self.net.widths, "blocks": self.net.blocks}
        assert self.card is not None  # noqa: S101  (of every published network)
        return {"backbone": self.card.backbone.name}


def start_from(initial: str | None, weights: Path | None) -> Start | None:
    """`bundled`, an encoder's folder or a published backbone by its name; None for nothing.

    Args:
        initial: the name.
        weights: official file of a published backbone, instead of a download.

    Raises:
        BadInvocation: weights of nothing.
        UnknownBackbone: there is nothing of this name.
    """
    if initial is None:
        if weights is not None:
            raise BadInvocation(
                "--weights is the file of a published backbone: give its name as --from"
            )
        return None
    folder = encoder_folder(initial)
    if folder is None or weights is not None:
        encoder = load_encoder(initial, weights=weights)
        return Start(encoder.backbone, encoder.card)
    card = read_card(folder)
    return Start(load_backbone(folder), None if card.backbone.name == OWN else card)


def refuse_own_replacement(initial: str | None, out_folder: Path) -> None:
    """Refuse a run that would end by replacing the encoder that it starts from."""
    if initial is not None and Path(initial).resolve() == (out_folder / "encoder").resolve():
        raise BadInvocation(
            f"--out {out_folder} would replace the encoder given as --from: choose another --out"
        )
