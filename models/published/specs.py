"""What is published: the backbones by name, their networks, licences, files and preprocessing.

Facts only; nothing here builds, downloads or reads anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from models.images.preprocessing import Preprocessing
from models.published.layouts import Layout

HUB_FILE: Final = "model.safetensors"
"""The file of a repository on timm's hub that holds its weights."""

_IMAGENET: Final[Mapping[str, Any]] = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
# As the authors evaluate them: short side to 256, centre 224 (DINO, DINOv2 bicubic; MoCo
# bilinear), and DINOv3 the whole picture squashed to 256.
_BICUBIC_224: Final = Preprocessing(224, 224, "centre-crop", 0.875, "bicubic", **_IMAGENET)
_BILINEAR_224: Final = Preprocessing(224, 224, "centre-crop", 0.875, "bilinear", **_IMAGENET)
_SQUASH_256: Final = Preprocessing(256, 256, "squash", 1.0, "bilinear", **_IMAGENET)

_NON_COMMERCIAL: Final = (
    "CC-BY-NC-4.0 (https://creativecommons.org/licenses/by-nc/4.0/): these weights may not be "
    "used commercially"
)
_DINOV3_NOTICE: Final = (
    "the DINOv3 License (https://ai.meta.com/resources/models-and-libraries/dinov3-license/, "
    "LICENSE.md of facebookresearch/dinov3), which is no open-source licence and sets conditions "
    "on use. By downloading or using these weights you accept it: read it first"
)


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """A published backbone.

    `origin` says where its weights come from when no path is given: timm's hub, or nowhere
    because only the authors' own file exists. `architecture` and `options` are timm's.
    """

    name: str
    description: str
    origin: Literal["timm", "official"]
    timm_name: str | None
    architecture: str
    dimension: int
    preprocessing: Preprocessing
    repository: str
    official_file: str
    licence: str
    layouts: tuple[Layout, ...]
    licence_notice: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def how_to(self) -> str:
        """Which file to fetch, where its authors publish it, and how to name it here."""
        files = [
            f"{self.official_file}, linked from the README of the repository {self.repository}"
        ]
        if self.timm_name is not None:
            files.append(f"{HUB_FILE} of timm/{self.timm_name} on timm's hub")
        return "\n".join(
            [
                "On a machine with internet, download",
                *(f"  {'or ' if i else ''}{file}" for i, file in enumerate(files)),
                "copy it here, and name it in one of these ways:",
                f"  ATTRIBUTION_ENCODER={self.name} ATTRIBUTION_ENCODER_WEIGHTS=PATH",
                f"  ATTRIBUTION_ENCODER={self.name} and the option --weights PATH",
                f'  load_encoder("{self.name}", weights=Path("PATH"))',
            ]
        )


_WIDTHS: Final = {"small": 384, "base": 768, "large": 1024}


def _dino(size: str, patch: int, official_file: str) -> BackboneSpec:
    architecture = f"vit_{size}_patch{patch}_224"
    return BackboneSpec(
        name=f"dino-vit{size[0]}{patch}",
        description=f"DINO ViT-{size.capitalize()}/{patch} (Caron et al., ICCV 2021)",
        origin="timm",
        timm_name=f"{architecture}.dino",
        architecture=architecture,
        dimension=_WIDTHS[size],
        preprocessing=_BICUBIC_224,
        repository="facebookresearch/dino",
        official_file=official_file,
        licence="Apache-2.0",
        layouts=("dino", "plain"),
    )


def _dinov2(size: str, *, registers: bool) -> BackboneSpec:
    architecture = f"vit_{size}_patch14_{'reg4_' if registers else ''}dinov2"
    short = f"vit{size[0]}14"
    with_registers = " with 4 registers (Darcet et al., ICLR 2024)" if registers else ""
    return BackboneSpec(
        name=f"dinov2-{short}{'-reg' if registers else ''}",
        description=f"DINOv2 ViT-{size.capitalize()}/14 (Oquab et al., TMLR 2024){with_registers}",
        origin="timm",
        timm_name=f"{architecture}.lvd142m",
        architecture=architecture,
        dimension=_WIDTHS[size],
        preprocessing=_BICUBIC_224,
        repository="facebookresearch/dinov2",
        official_file=f"dinov2_{short}_{'reg4_' if registers else ''}pretrain.pth",
        licence="Apache-2.0",
        layouts=("dinov2", "plain"),
    )


def _dinov3(size: str) -> BackboneSpec:
    architecture = f"vit_{size}_patch16_dinov3"
    short = f"vit{size[0]}16"
    return BackboneSpec(
        name=f"dinov3-{short}",
        description=f"DINOv3 ViT-{size.capitalize()}/16 (Siméoni et al., 2025)",
        origin="timm",
        timm_name=f"{architecture}.lvd1689m",
        architecture=architecture,
        dimension=_WIDTHS[size],
        preprocessing=_SQUASH_256,
        repository="facebookresearch/dinov3",
        official_file=f"dinov3_{short}_pretrain_lvd1689m (.pth, after its form is accepted)",
        licence="DINOv3 License",
        licence_notice=_DINOV3_NOTICE,
        layouts=("dinov3", "plain"),
    )


def _mocov3(size: str, official_file: str) -> BackboneSpec:
    return BackboneSpec(
        name=f"mocov3-vit{size[0]}16",
        description=f"MoCo v3 ViT-{size.capitalize()}/16 (Chen, Xie and He, ICCV 2021)",
        origin="official",
        timm_name=None,
        architecture=f"vit_{size}_patch16_224",
        dimension=_WIDTHS[size],
        preprocessing=_BILINEAR_224,
        repository="facebookresearch/moco-v3",
        official_file=official_file,
        licence="CC-BY-NC-4.0",
        licence_notice=_NON_COMMERCIAL,
        layouts=("mocov3", "plain"),
        options={"num_heads": 12},  # the usual ViT-S has 6
    )


_DINO_RESNET50: Final = BackboneSpec(
    name="dino-resnet50",
    description="DINO ResNet-50 (Caron et al., ICCV 2021)",
    origin="official",
    timm_name=None,
    architecture="resnet50",
    dimension=2048,
    preprocessing=_BICUBIC_224,
    repository="facebookresearch/dino",
    official_file="dino_resnet50_pretrain.pth",
    licence="Apache-2.0",
    layouts=("dino", "plain"),
)
_MOCOV2_RESNET50: Final = BackboneSpec(
    name="mocov2-resnet50",
    description="MoCo v2 ResNet-50, 800 epochs (Chen et al., 2020, arXiv:2003.04297)",
    origin="official",
    timm_name=None,
    architecture="resnet50",
    dimension=2048,
    preprocessing=_BILINEAR_224,
    repository="facebookresearch/moco",
    official_file="moco_v2_800ep_pretrain.pth.tar",
    licence="CC-BY-NC-4.0",
    licence_notice=_NON_COMMERCIAL,
    layouts=("mocov2", "plain"),
)
_MOCOV3_RESNET50: Final = BackboneSpec(
    name="mocov3-resnet50",
    description="MoCo v3 ResNet-50, 1000 epochs (Chen, Xie and He, ICCV 2021)",
    origin="official",
    timm_name=None,
    architecture="resnet50",
    dimension=2048,
    preprocessing=_BILINEAR_224,
    repository="facebookresearch/moco-v3",
    official_file="r-50-1000ep.pth.tar",
    licence="CC-BY-NC-4.0",
    licence_notice=_NON_COMMERCIAL,
    layouts=("mocov3", "plain"),
)

PUBLISHED: Final[Mapping[str, BackboneSpec]] = {
    spec.name: spec
    for spec in (
        _dino("small", 16, "dino_deitsmall16_pretrain.pth"),
        _dino("small", 8, "dino_deitsmall8_pretrain.pth"),
        _dino("base", 16, "dino_vitbase16_pretrain.pth"),
        _dino("base", 8, "dino_vitbase8_pretrain.pth"),
        *(_dinov2(size, registers=r) for r in (False, True) for size in _WIDTHS),
        *(_dinov3(size) for size in _WIDTHS),
        _DINO_RESNET50,
        _MOCOV2_RESNET50,
        _mocov3("small", "vit-s-300ep.pth.tar"),
        _mocov3("base", "vit-b-300ep.pth.tar"),
        _MOCOV3_RESNET50,
    )
}
"""Every backbone by name, in the order they are listed to people."""
