"""An object of one picture in front of another, with a soft border."""

from __future__ import annotations

from torch import Generator, Tensor

from attribution.synthesis.composites.composite import Composites, pair_of
from attribution.synthesis.composites.regions import ellipses


def paste(
    images: Tensor, sources: Tensor, generator: Generator, *, mattes: Tensor | None = None
) -> Composites:
    r"""The first picture where its matte is, the second elsewhere, blended in between.

    .. math:: \tilde x = M \odot x_A + (1 - M) \odot x_B

    Args:
        images: `(n, 3, h, w)`.
        sources: `(m, 2)` rows: the picture with the object, and the background.
        generator: of the matte, where none is given.
        mattes: `(n, 1, h, w)` in [0, 1], how much of each pixel the object of a picture covers;
            by default a soft ellipse of a tenth to four tenths of the frame.
    """
    first, second = pair_of(images, sources)
    if mattes is None:
        size = (images.shape[-2], images.shape[-1])
        masks = ellipses(len(sources), size, generator)
    else:
        masks = mattes[sources[:, 0]].float()
    wide = masks.to(images.dtype)
    return Composites(wide * first + (1 - wide) * second, masks, sources)
