"""What is looked at of a query, the whole and the picture that it frames, and the answer to both.

Whoever asks about images asks here, so that what is measured is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from models.images.content import NO_CONTENT, has_nothing_to_compare
from models.images.decoding import DecodedImage
from models.images.notes import Note


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """One or two pictures to encode, the whole one first; `content`: whether it shows anything."""

    pictures: tuple[Image.Image, ...]
    content: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """The `(query_dimension,)` row of each look at a query; `content` as in `Looks`."""

    rows: tuple[Rows, ...]
    content: bool = True


def looks_at(decoded: DecodedImage, domain: Domain) -> tuple[DecodedImage, Looks]:
    """What to encode of an image, and the image with a note of what that is.

    A source is looked at whole: it is what is held, frame included.
    """
    if domain == "source":
        return decoded, Looks((decoded.image,))
    looks, note = _looks(decoded.image)
    return decoded if note is None else replace(decoded, notes=(*decoded.notes, note)), looks


def looks_at_picture(image: Image.Image) -> Looks:
    """What to encode of a query whose file does not matter."""
    return _looks(image)[0]


def _looks(image: Image.Image) -> tuple[Looks, Note | None]:
    if has_nothing_to_compare(image):
        return Looks((image,), content=False), NO_CONTENT
    cut = cut_out(image)
    if cut is None:
        return Looks((image,)), None
    picture, note = cut
    return Looks((image, picture)), note


def encode_looks(encoder: Encoder, looks: Sequence[Looks]) -> list[Described]:
    """Describe each query, all encoded together."""
    pictures = [picture for each in looks for picture in each.pictures]
    rows = iter(encoder.encode(pictures, domain="query"))
    return [Described(tuple(islice(rows, len(each.pictures))), each.content) for each in looks]


def attribute_looks(
    attributor: Attributor, described: Sequence[Described], terms: Terms
) -> list[Attribution]:
    """Answer each query by its looks, all searched together; see `answer_of`.

    Args:
        attributor: asked.
        described: the queries.
        terms: what besides decides the answers.

    Raises:
        ValueError: as `Attributor.attribute`.
        AlphaTooSmall: the background cannot bear out this alpha.
    """
    if not described:
        return []
    rows = np.stack([row for each in described for row in each.rows])
    found = iter(attributor.answer(terms, rows))
    return [answer_of(each, tuple(islice(found, len(each.rows)))) for each in described]


def answer_of(described: Described, answers: Sequence[Attribution]) -> Attribution:
    """The answer to a query from those to its looks; no source is claimed without content."""
    best = reduce(better_of, answers)
    return best if described.content else best.without_content()


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
