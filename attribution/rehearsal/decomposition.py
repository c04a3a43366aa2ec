"""A query as a non-negative mixture of its candidates. Pure NumPy; knows rows, no sources."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_TOLERANCE = 1e-10


class NoConvergence(ArithmeticError):
    """The active set kept changing; the problem is too ill-conditioned to be solved."""


def non_negative_least_squares(matrix: Values, target: Values) -> Values:
    r"""Solve :math:`\min_{x \ge 0} |A x - b|^2` by active sets on the Gram matrix.

    Lawson and Hanson, "Solving least squares problems", 1974, chapter 23, with the products
    formed once (Bro and De Jong, 1997). Meant for some tens of unknowns.

    Args:
        matrix: `(d, k)`, `A`; here one candidate's row a column.
        target: `(d,)`, `b`; here the query's row.

    Returns:
        `(k,)` coefficients.

    Raises:
        NoConvergence: after ten passes over every unknown.
    """
    gram, products = matrix.T @ matrix, matrix.T @ target
    k = len(products)
    solution = np.zeros(k)
    free = np.zeros(k, dtype=bool)
    slack = _TOLERANCE * max(1.0, float(np.abs(products).max(initial=0.0)))
    for _ in range(10 * k):
        gradient = np.where(free, -np.inf, products - gram @ solution)
        if free.all() or gradient.max() <= slack:
            return solution
        free[gradient.argmax()] = True
        solution = _step(gram, products, solution, free)
    if k == 0:
        return solution
    raise NoConvergence(f"no non-negative decomposition in {10 * k} steps")


def _step(gram: Values, products: Values, solution: Values, free: NDArray[np.bool_]) -> Values:
    """Solve for the `free` unknowns; those that would turn negative are fixed at 0 in place."""
    while True:
        wanted = np.zeros_like(solution)
        places = np.flatnonzero(free)
        wanted[places] = np.linalg.lstsq(
            gram[np.ix_(places, places)], products[places], rcond=None
        )[0]
        blocking = free & (wanted <= 0)
        if not blocking.any():
            return wanted
        ratio = solution[blocking] / np.maximum(solution[blocking] - wanted[blocking], _TOLERANCE)
        solution = solution + ratio.min() * (wanted - solution)
        free &= solution > _TOLERANCE
        solution = np.where(free, solution, 0.0)
