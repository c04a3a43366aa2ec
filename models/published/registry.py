"""Builds a backbone by its name, with weights; the facts about each are in `specs`.

A name stands for a network *and* its published weights and preprocessing. Weights come from
timm's hub on first use or from a file that the authors publish; no weights of others are stored
here. Encoders (head, model_id, batching) are `models.encoder`'s business.
"""

from __future__ import annotations

import difflib
import logging
from pathlib import Path

import torch

from models.backbones.features import Backbone
from models.backbones.resnet import ResNet50
from models.backbones.vit import VisionTransformer
from models.published import timm_hub
from models.published.layouts import LayoutMismatch, load_official
from models.published.specs import PUBLISHED, BackboneSpec

logger = logging.getLogger(__name__)


class UnknownBackbone(ValueError):
    """No backbone has this name."""


class WeightsUnavailable(RuntimeError):
    """The weights are neither on this machine nor to be had; the message says how to provide."""


def spec(name: str) -> BackboneSpec:
    """The facts about a backbone; nothing is built or downloaded.

    Raises:
        UnknownBackbone: there is none of this name.
    """
    found = PUBLISHED.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, PUBLISHED, n=3, cutoff=0.5)
    advice = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(PUBLISHED)}"
    raise UnknownBackbone(f"no backbone is called '{name}': {advice}")


def build(
    name: str, *, weights: Path | None = None, device: str | torch.device = "cpu"
) -> Backbone:
    """Build a backbone with its published weights, in evaluation mode.

    Args:
        name: one of `specs.PUBLISHED`.
        weights: the authors' file or timm's; without it the cached or downloaded one.
        device: where the backbone is put.

    Raises:
        UnknownBackbone: there is none of this name.
        WeightsUnavailable: no file was given and none could be had; comes within seconds.
        LayoutMismatch: the file holds other tensors.
        UnreadableCheckpoint: the file is missing, damaged, or carries code.
    """
    wanted = spec(name)
    if wanted.licence_notice is not None:
        logger.warning("The weights of %s are under %s", name, wanted.licence_notice)
    path = weights if weights is not None else _weights_of(wanted)
    backbone = _network(wanted)
    try:
        layout = load_official(backbone.network, path, accept=wanted.layouts)
    except LayoutMismatch as error:
        raise LayoutMismatch(f"{name}: {error}") from error
    logger.info("Loaded %s from %s (layout %s)", name, path, layout)
    return backbone.to(device).eval()


def without_weights(name: str) -> Backbone:
    """The network behind a name with random weights, for one who has their own; no download.

    Raises:
        UnknownBackbone: there is none of this name.
    """
    return _network(spec(name)).eval()


def _weights_of(wanted: BackboneSpec) -> Path:
    if wanted.timm_name is None:
        raise WeightsUnavailable(
            f"The weights of {wanted.name} are only published by their authors, as a file.\n"
            f"{wanted.how_to()}"
        )
    try:
        return timm_hub.fetch(wanted.timm_name)
    except timm_hub.HubUnavailable as error:
        # the chain of connection errors below would bury what to do
        raise WeightsUnavailable(
            f"The weights of {wanted.name} are not on this machine: {error}.\n{wanted.how_to()}"
        ) from None


def _network(wanted: BackboneSpec) -> VisionTransformer | ResNet50:
    if wanted.architecture == "resnet50":
        return ResNet50(**wanted.options)
    return VisionTransformer(wanted.architecture, **wanted.options)
