"""A head's second map, for queries whose descriptors are distributed unlike those of sources."""

from __future__ import annotations

import torch
from torch import Tensor

from models.heads import AffineMap, Moments


def map_for_queries(
    fitted: AffineMap, sources: Moments, queries: Moments, *, shrinkage: float = 0.01
) -> AffineMap:
    r"""Give queries the mean and covariance of sources, then map them as sources are mapped.

    .. math:: x \mapsto (y - \mu) W, \qquad
              y = \mu_s + (x - \mu_q)\, \Sigma_q^{-1/2} \Sigma_s^{1/2}

    with symmetric roots, which turn a descriptor as little as can be, so that no pair across the
    domains is needed (CORAL; Sun, Feng and Saenko, "Return of Frustratingly Easy Domain
    Adaptation", AAAI 2016). Where `fitted` whitens the sources (:math:`W = \Sigma_s^{-1/2} U`),
    this whitens the queries, :math:`\Sigma_q^{-1/2} U`, in the same basis: each domain has unit
    covariance, and inner products between them are those of two ZCA whitenings. Two bases of
    principal directions, one a domain, could not be compared.

    Args:
        fitted: :math:`\mu` and :math:`W`, of the sources.
        sources: moments of source descriptors.
        queries: moments of query descriptors. They need not show the same subjects, but other
            subjects shift the moments too.
        shrinkage: ridge on both covariances, as a fraction of its mean eigenvalue.

    Returns:
        A map of the same columns to the same width.
    """
    if fitted.columns is not None:
        sources = sources.of_columns(fitted.columns)
        queries = queries.of_columns(fitted.columns)
    root, inverse = _roots(sources.covariances()[0], shrinkage)
    query_root, query_inverse = _roots(queries.covariances()[0], shrinkage)
    # (y - mu) W with the shift mu_s - mu taken back through the change of covariance
    shift = (sources.mean - fitted.mean.double()) @ inverse @ query_root
    weight = query_inverse @ root @ fitted.weight.double()
    return AffineMap((queries.mean - shift).float(), weight.float(), fitted.columns)


def _roots(covariance: Tensor, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Symmetric square root of a covariance and the inverse of that."""
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    values = values.clamp(min=0.0)
    scale = (values + shrinkage * values.mean() + 1e-12).sqrt()
    return (vectors * scale) @ vectors.T, (vectors / scale) @ vectors.T
