"""What is looked at of a query, the whole and the picture that it frames, and the answer to both.

Whoever asks about images asks here, so that what is measured is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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

WHOLE = 0.2
"""What the look at the whole of a framed picture may spend of alpha; the rest is for the inside.

The background holds no frames, so wholes are not quite like it. Yet at alpha .01 less than a sixth
would be nothing: no p-value is below that of no larger statistic among 600 background images.
"""


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
    best = answers[0] if len(answers) == 1 else better_of(*answers)
    return best if described.content else best.without_content()


def better_of(whole: Attribution, inside: Attribution) -> Attribution:
    r"""The answer of two looks at a framed picture: of the smaller p-value, or the larger score.

    .. math:: p = \min(1, p_1 / w, p_2 / (1 - w))

    Two looks have two chances of a false attribution, so each may spend a part of alpha, here
    :math:`w` the whole and the rest the inside (Bonferroni, weighted; Genovese, Roeder and
    Wasserman, Biometrika 2006), and all p-values decide anew. Shares are those of the look that
    is taken.
    """
    looks = ((whole, WHOLE), (inside, 1 - WHOLE))
    return _weighed(*max(looks, key=lambda look: _evidence(*look)))  # the first of equal ones


def _weighed(answer: Attribution, weight: float) -> Attribution:
    """What a look says that may spend a part of alpha."""
    sources = tuple(
        replace(
            each, p_value=p_value, attributed=decision_of(p_value, answer.alpha) == "attributed"
        )
        for each in answer.sources
        for p_value in [_divided(each.p_value, weight)]
    )
    p_value = _divided(answer.p_value, weight)
    decision = decision_of(p_value, answer.alpha)
    return replace(answer, p_value=p_value, decision=decision, sources=sources)


def _evidence(answer: Attribution, weight: float) -> tuple[float, float]:
    best = max((each.score for each in answer.sources), default=-float("inf"))
    return (1.0 if answer.p_value is None else -answer.p_value / weight, best)


def _divided(p_value: float | None, weight: float) -> float | None:
    return None if p_value is None else min(1.0, p_value / weight)
