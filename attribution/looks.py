"""What is looked at of a query, and the answer to all looks at it.

The whole, the picture that it frames, and where that is asked for, that picture any way up.
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
from models.images.notes import TURNS, Note, Turn
from models.images.turned import turned_back

WHOLE = 0.2
"""What the look at the whole of a framed picture may spend of alpha; the rest is for the inside.

The background holds no frames, so wholes are not quite like it. Yet at alpha .01 less than a sixth
would be nothing: no p-value is below that of no larger statistic among 600 background images.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """How a query is looked at.

    Attributes:
        weight: the part of alpha that this look may spend; those of all looks add up to 1.
        turned: degrees to the left by which the picture is taken to be turned, and turned back.
        framed: whether it is at the whole of a picture that frames another.
    """

    weight: float = 1.0
    turned: Turn = 0
    framed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Pictures to encode, the whole one first; `content`: whether it shows anything."""

    pictures: tuple[Image.Image, ...]
    content: bool = True
    ways: tuple[Way, ...] = (Way(),)


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """The `(query_dimension,)` row of each look at a query; the rest as in `Looks`."""

    rows: tuple[Rows, ...]
    content: bool = True
    ways: tuple[Way, ...] = (Way(),)


def looks_at(
    decoded: DecodedImage, domain: Domain, *, any_way_up: bool = False
) -> tuple[DecodedImage, Looks]:
    """What to encode of an image, and the image with a note of what that is.

    A source is looked at as it is: that is what is held, frame included.

    Args:
        decoded: the image.
        domain: whether it is asked about, or held.
        any_way_up: a query may be turned by a quarter or upside down, and is looked at in all four
            ways.
    """
    if domain == "source":
        return decoded, Looks((decoded.image,))
    looks, note = _looks(decoded.image, any_way_up=any_way_up)
    return decoded if note is None else replace(decoded, notes=(*decoded.notes, note)), looks


def looks_at_picture(image: Image.Image, *, any_way_up: bool = False) -> Looks:
    """What to encode of a query whose file does not matter; see `looks_at`."""
    return _looks(image, any_way_up=any_way_up)[0]


def _looks(image: Image.Image, *, any_way_up: bool) -> tuple[Looks, Note | None]:
    if has_nothing_to_compare(image):
        return Looks((image,), content=False), NO_CONTENT
    cut = cut_out(image)
    inside, left = (image, 1.0) if cut is None else (cut[0], 1 - WHOLE)
    turns = TURNS if any_way_up else TURNS[:1]
    pictures = [turned_back(inside, turn) for turn in turns]
    ways = [Way(left / len(turns), turn) for turn in turns]
    if cut is None:
        return Looks(tuple(pictures), ways=tuple(ways)), None
    return Looks((image, *pictures), ways=(Way(WHOLE, framed=True), *ways)), cut[1]


def encode_looks(encoder: Encoder, looks: Sequence[Looks]) -> list[Described]:
    """Describe each query, all encoded together."""
    pictures = [picture for each in looks for picture in each.pictures]
    rows = iter(encoder.encode(pictures, domain="query"))
    return [
        Described(tuple(islice(rows, len(each.pictures))), each.content, each.ways)
        for each in looks
    ]


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
    found = iter(attributor.attribute(rows, terms))
    return [answer_of(each, tuple(islice(found, len(each.rows)))) for each in described]


def answer_of(described: Described, answers: Sequence[Attribution]) -> Attribution:
    """The answer to a query from those to its looks; no source is claimed without content."""
    best = best_of(answers, described.ways)
    return best if described.content else best.without_content()


def best_of(answers: Sequence[Attribution], ways: Sequence[Way]) -> Attribution:
    r"""The answer of the look with the smallest p-value, or else the largest score.

    .. math:: p = \min(1, \min_i p_i / w_i), \quad \sum_i w_i = 1

    Several looks have several chances of a false attribution, so each may spend a part of alpha
    (Bonferroni, weighted; Genovese, Roeder and Wasserman, Biometrika 2006), and all p-values
    decide anew. Shares are those of the look that is taken. What is spent is settled before
    anything is seen; see `borne_out`.

    Args:
        answers: of each look, all under the same terms.
        ways: in the same order.
    """
    spent = borne_out(ways, answers[0].alpha, answers[0].finest)
    looks = [(answer, way) for answer, way in zip(answers, spent, strict=True) if way.weight]
    answer, way = max(looks, key=lambda look: _evidence(*look))  # the first of equal ones
    return replace(_weighed(answer, way.weight), turned=way.turned)


def borne_out(ways: Sequence[Way], alpha: float, finest: float | None) -> Sequence[Way]:
    """The ways with their parts of alpha, where the background bears these out.

    A look whose part of alpha is less than any p-value can attribute nothing. Where there is one,
    the look at the whole of a framed picture leaves its part to the others.

    Args:
        ways: with weights that add up to 1.
        alpha: to be spent.
        finest: the smallest p-value that the background has; None where that is not known.
    """
    left = sum(way.weight for way in ways if not way.framed)
    enough = finest is None or min(way.weight for way in ways) * alpha >= finest
    if enough or not any(way.framed for way in ways):
        return ways
    return [replace(way, weight=0.0 if way.framed else way.weight / left) for way in ways]


def _weighed(answer: Attribution, weight: float) -> Attribution:
    """What a look says that may spend a part of alpha."""
    if weight == 1:
        return answer
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


def _evidence(answer: Attribution, way: Way) -> tuple[float, float]:
    best = max((each.score for each in answer.sources), default=-float("inf"))
    return (1.0 if answer.p_value is None else -answer.p_value / way.weight, best)


def _divided(p_value: float | None, weight: float) -> float | None:
    return None if p_value is None else min(1.0, p_value / weight)
