"""Colours of one image given to another by the linear map that moves colours least.

Pure tensor maths; it knows no patches, no seed and no file.
"""

from __future__ import annotations

import torch

# Added to both covariances, so that grey and constant images keep an invertible one.
_REGULARISATION = 1e-5


def recolouring(image: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The map from the colours of `image` to those of `reference`.

    The Monge-Kantorovich solution for Gaussians, which gives pixels the mean and covariance of the
    reference with the least squared displacement (Pitie and Kokaram, "The linear Monge-Kantorovitch
    linear colour mapping for example-based colour transfer", CVMP 2007):
    `T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2` with covariances A (image) and B (reference).

    Args:
        image: (c, h, w) float32.
        reference: (c, h', w') float32.

    Returns:
        (c, c) and (c,): `recoloured` applies them, to this image or to another scale of it.
    """
    own, wanted = image.flatten(1), reference.flatten(1)
    own_root = _square_root(_covariance(own))
    inverse = torch.linalg.inv(own_root)
    matrix = inverse @ _square_root(own_root @ _covariance(wanted) @ own_root) @ inverse
    return matrix, wanted.mean(dim=1) - matrix @ own.mean(dim=1)


def recoloured(image: torch.Tensor, matrix: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """`image` (c, h, w) with `matrix @ colour + offset` at every pixel, kept in [-1, 1]."""
    mapped = torch.einsum("ij,jhw->ihw", matrix, image) + offset[:, None, None]
    return mapped.clamp(-1, 1)


def _covariance(pixels: torch.Tensor) -> torch.Tensor:
    return torch.cov(pixels, correction=0) + _REGULARISATION * torch.eye(len(pixels))


def _square_root(matrix: torch.Tensor) -> torch.Tensor:
    """The symmetric positive square root of a symmetric positive (c, c) matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: torch.Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
