"""Which parts an encoder gets and what each is fitted on; knows no network and no images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.heads.affine import NEAREST
from models.parts import Part

Pairs = Literal[
    "images", "views", "structure", "appearance", "views in place", "structure in place"
]
HeadKind = Literal["none", "whiten", "cca", "linear"]


class UnfitHead(ValueError):
    """A head that cannot be fitted to what there is."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How one part is fitted.

    Attributes:
        name: of the part.
        head: `none` leaves the descriptor as it is; `linear` is trained, the others have a closed
            form.
        pairs: kinds of pairs whose shared directions the part keeps. `views`: an image and a
            mild or degraded view of it. `structure`, `appearance`: an image and a mixture that
            took its layout, or its colours and textures. `views in place`: an image and half of it
            or more, degraded but not mirrored; `structure in place`: an image and a mixture that
            took such a part's layout. `images`: an image and itself.
        components: directions kept; a `linear` map keeps all.
        blocks: blocks of the descriptor it may use; all of them when empty.
    """

    name: str
    head: HeadKind
    pairs: tuple[Pairs, ...]
    components: int
    blocks: tuple[str, ...] = ()


def plans_for(
    head: HeadKind, components: int, blocks: Sequence[Part] | None = None
) -> tuple[PartPlan, ...]:
    """The parts of an encoder with this head: one, but for `cca`, which has a part a role.

    `structure` recognises a layout however it was rendered, `outline` one that was left in place,
    and `appearance` colours and textures without layout.
    Where the descriptor has but one block, the roles differ only in the pairs they are fitted on,
    and there is no outline.

    Args:
        head: of every part.
        components: directions kept in a part, and of such a descriptor at most its columns.
        blocks: those of the backbone's descriptor; of the project's own network by default.
    """
    whole = blocks[0] if blocks is not None and len(blocks) == 1 else None
    if whole is not None:
        components = min(components, whole.dimension)
    if head == "linear":
        return (PartPlan("whole", head, ("views", "structure", "appearance"), components),)
    if head != "cca":
        return (PartPlan("whole", head, ("views",), components),)
    if whole is not None:
        return (
            PartPlan("structure", head, ("views", "structure"), components),
            PartPlan("appearance", head, ("views", "appearance"), components),
        )
    stages = ("stage1", "stage2", "stage3")
    return (
        PartPlan(
            "structure", head, ("views", "structure"), components, ("global", "layout", *stages)
        ),
        PartPlan(
            "outline",
            head,
            ("views in place", "structure in place"),
            components * 3 // 4,
            ("gradients",),
        ),
        PartPlan("appearance", head, ("views", "appearance"), components * 3 // 4, stages),
    )


def check_plans(plans: Sequence[PartPlan], *, descriptor: int, images: int) -> None:
    """Refuse, before hours of training, a head that could not be fitted after it.

    Raises:
        UnfitHead: more components than the descriptor has columns, or than there are images; or
            too few images for the reference rows of several parts.
    """
    if len(plans) > 1 and images <= NEAREST:
        raise UnfitHead(
            f"{images} images are too few to compare several parts with: give {NEAREST + 1} images "
            "or more, or --head whiten"
        )
    for plan in plans:
        if plan.head in ("whiten", "cca") and plan.components > min(descriptor, images):
            raise UnfitHead(
                f"{plan.components} components need as many columns and images, but there are "
                f"{descriptor} and {images}: lower --components"
            )
