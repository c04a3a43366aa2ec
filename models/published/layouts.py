"""Key layouts of the official DINO, DINOv2, DINOv3, MoCo and SSCD files, turned into timm's.

Knows how the authors named their tensors; not where files come from nor which network is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from torch import Tensor, nn

from models.published.untrusted import CheckpointError, UnreadableCheckpoint, read_checkpoint

Layout = Literal["dino", "dinov2", "dinov3", "mocov2", "mocov3", "sscd", "plain"]

LAYOUTS: Final[Mapping[Layout, str]] = {
    "dino": "DINO full checkpoint: teacher/student, keys module.backbone.* or backbone.*",
    "dinov2": "DINOv2: mask_token, maybe register_tokens and chunked blocks.0.3.*",
    "dinov3": "DINOv3: storage_tokens",
    "mocov2": "MoCo v1/v2: state_dict, keys module.encoder_q.*",
    "mocov3": "MoCo v3: state_dict, keys module.base_encoder.* or module.momentum_encoder.*",
    "sscd": "SSCD for torchvision: backbone.* and embeddings.1.*",
    "plain": "a backbone alone with timm's or torchvision's keys, as DINO publishes it",
}

# Where the state dict may hide, best first: DINO evaluates its teacher.
_ENVELOPES: Final = ("teacher", "student", "state_dict", "model")
# Which encoder inside it, best first: MoCo evaluates the one trained by gradients.
_ENCODERS: Final[Mapping[str, Layout]] = {
    "backbone.": "dino",
    "encoder_q.": "mocov2",
    "base_encoder.": "mocov3",
    "momentum_encoder.": "mocov3",
    "encoder_k.": "mocov2",
}
_HEADS: Final = ("head.", "fc.", "dino_head.", "ibot_head.")
_CHUNKED_BLOCK: Final = re.compile(r"^blocks\.\d+\.(\d+)\.")
_SHOWN: Final = 4


class LayoutMismatch(CheckpointError):
    """The tensors of the file are not those of the network."""


@dataclass(frozen=True, slots=True)
class OfficialWeights:
    """A backbone's tensors under timm's names, and the layout they were found in."""

    layout: Layout
    tensors: Mapping[str, Tensor]


def read_official(path: Path) -> OfficialWeights:
    """Read a published file and rename its tensors to timm's layout; heads are dropped.

    Raises:
        UnreadableCheckpoint: the file is damaged, holds no tensors, or carries code.
    """
    state, envelope = _open_envelope(read_checkpoint(path))
    if not state:
        raise UnreadableCheckpoint(f"{path.name} holds no tensors; {_known_layouts()}")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    state, layout = _take_encoder(state)
    if layout == "plain" and envelope in ("teacher", "student"):
        layout = "dino"
    state = {
        _CHUNKED_BLOCK.sub(r"blocks.\1.", key): value
        for key, value in state.items()
        if not key.startswith(_HEADS)
    }
    if "storage_tokens" in state:
        return OfficialWeights("dinov3", _from_dinov3(state))
    if "mask_token" in state or "register_tokens" in state:
        return OfficialWeights("dinov2", _from_dinov2(state))
    return OfficialWeights(layout, state)


def load_official(network: nn.Module, path: Path, *, accept: Iterable[Layout] = LAYOUTS) -> Layout:
    """Load a published file into a timm network, every tensor or none.

    Args:
        network: a timm network built without classifier.
        path: the published file.
        accept: layouts that are this network's. Networks of different families can have equal
            shapes and yet differ (MoCo v3's ViT-S has 12 heads, DINO's has 6), so a file of
            another family is refused even if it would fit.

    Returns:
        The layout that was recognised.

    Raises:
        LayoutMismatch: keys or shapes differ, or the file is of another family.
    """
    weights = read_official(path)
    accepted = tuple(accept)
    if weights.layout not in accepted:
        raise LayoutMismatch(
            f"{path.name} is in the layout '{weights.layout}', but this network takes "
            f"{' or '.join(accepted)}: choose the encoder that the file belongs to"
        )
    wanted = network.state_dict()
    problems = _differences(wanted, weights.tensors)
    if problems:
        raise LayoutMismatch(
            f"{path.name}, read as '{weights.layout}', does not fit this network: "
            f"{'; '.join(problems)}. {_known_layouts()}"
        )
    # counters of training steps, which files of old PyTorch lack, are all that may be missing
    network.load_state_dict(weights.tensors, strict=False)
    return weights.layout


def _open_envelope(checkpoint: Mapping[str, object]) -> tuple[dict[str, Tensor], str | None]:
    for envelope in _ENVELOPES:
        inner = checkpoint.get(envelope)
        if isinstance(inner, Mapping):
            return _tensors(inner), envelope
    return _tensors(checkpoint), None


def _tensors(state: Mapping[str, object]) -> dict[str, Tensor]:
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}


def _take_encoder(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], Layout]:
    if any(key.startswith("embeddings.") for key in state):
        return state, "sscd"  # its map belongs to the descriptor
    for prefix, layout in _ENCODERS.items():
        chosen = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if chosen:
            return chosen, layout
    return state, "plain"


def _from_dinov2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Move the class token's position into the token itself where there are registers.

    timm's networks with registers embed the positions of patches only.
    """
    state.pop("mask_token", None)
    if "register_tokens" not in state:
        return state
    positions = state.pop("pos_embed")
    state["reg_token"] = state.pop("register_tokens")
    state["cls_token"] = state["cls_token"] + positions[:, :1]
    state["pos_embed"] = positions[:, 1:]
    return state


def _from_dinov3(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename to timm's EVA; the biases of q and v, which timm's networks lack, must be zero.

    The bias of k is masked out in the official network, and softmax would cancel it.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        if key == "mask_token" or key.startswith("rope") or key.endswith(".bias_mask"):
            continue
        if key.endswith("attn.qkv.bias"):
            queries, _, values = value.chunk(3)
            if not (queries.any() or values.any()):
                continue
        name = key.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2")
        renamed["reg_token" if name == "storage_tokens" else name] = value
    return renamed


def _differences(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    missing = [k for k in wanted if k not in found and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in found if k not in wanted]
    reshaped = [
        f"{k} {tuple(found[k].shape)} instead of {tuple(wanted[k].shape)}"
        for k in wanted
        if k in found and wanted[k].shape != found[k].shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("wrong shape", reshaped))
    return [f"{kind}: {_first(keys)}" for kind, keys in kinds if keys]


def _first(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _known_layouts() -> str:
    return "Layouts known: " + "; ".join(f"{name} ({text})" for name, text in LAYOUTS.items())
