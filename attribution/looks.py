"""What is looked at of a query, the whole and the picture that it frames, and the answer to both.

Whoever asks about images asks here, so that what is measured is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice

import numpy as np
from PIL import Image

from attribution.answer import Attribution, decision_of
from attribution.attributor import Attributor, Terms
from attribution.retrieval.fusion import Rows
from models.encoder import Encoder
from models.heads.affine import Domain
from models.images.borders import cut_out
from models.images.decoding import DecodedImage


def looks_at(decoded: DecodedImage, domain: Domain) -> tuple[DecodedImage, tuple[Image.Image, ...]]:
    """One or two pictures to encode, the whole one first, and the image with a note of that.

    A source is looked at whole: it is what is held, frame included.
    """
    cut = cut_out(decoded.image) if domain == "query" else None
    if cut is None:
        return decoded, (decoded.image,)
    picture, note = cut
    return replace(decoded, notes=(*decoded.notes, note)), (decoded.image, picture)


def framed(image: Image.Image) -> tuple[Image.Image, ...]:
    """The pictures of `looks_at` for a query whose file does not matter."""
    cut = cut_out(image)
    return (image,) if cut is None else (image, cut[0])


def encode_looks(encoder: Encoder, looks: Sequence[Sequence[Image.Image]]) -> list[list[Rows]]:
    """For each query the `(query_dimension,)` row of each of its looks, all encoded together."""
    rows = iter(encoder.encode([picture for each in looks for picture in each], domain="query"))
    return [list(islice(rows, len(each))) for each in looks]


def attribute_looks(
    attributor: Attributor, looks: Sequence[Sequence[Rows]], terms: Terms
) -> list[Attribution]:
    """Answer each query by its looks, all searched together; the better answer of two counts.

    Args:
        attributor: asked.
        looks: for each query the `(query_dimension,)` row of each of its looks.
        terms: what besides decides the answers.

    Raises:
        ValueError: as `Attributor.attribute`.
        AlphaTooSmall: the background cannot bear out this alpha.
    """
    if not looks:
        return []
    found = iter(attributor.answer(terms, np.stack([row for each in looks for row in each])))
    return [best_look(tuple(islice(found, len(each)))) for each in looks]


def best_look(answers: Sequence[Attribution]) -> Attribution:
    """The answer of one look at a query or of two."""
    return reduce(better_of, answers)


def better_of(first: Attribution, second: Attribution) -> Attribution:
    """The answer of two looks at one query: that of the smaller p-value, or else the larger score.

    Two looks have two chances of a false attribution, so p-values are twice as large (Bonferroni)
    and decide anew. Shares are those of the look that is taken.
    """
    taken = max(first, second, key=_evidence)  # the first of equal ones
    sources = tuple(
        replace(each, p_value=p_value, attributed=decision_of(p_value, taken.alpha) == "attributed")
        for each in taken.sources
        for p_value in [_doubled(each.p_value)]
    )
    p_value = _doubled(taken.p_value)
    decision = decision_of(p_value, taken.alpha)
    return replace(taken, p_value=p_value, decision=decision, sources=sources)


def _evidence(answer: Attribution) -> tuple[float, float]:
    best = max((each.score for each in answer.sources), default=-float("inf"))
    return (1.0 if answer.p_value is None else -answer.p_value, best)


def _doubled(p_value: float | None) -> float | None:
    return None if p_value is None else min(1.0, 2 * p_value)
