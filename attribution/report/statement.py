"""What the figures of a report mean, in plain words: what is promised, and what is not.

The words of the promise are the contract of the service; `docs/answers.md` explains them at length.
"""

from __future__ import annotations

from attribution.answer import Attribution
from attribution.report.wording import percentage

METHOD = (
    "The image and every source are described by the encoder named here. A source's score says how "
    "far its similarity to the image stands above that of unrelated images. The p-value sets the "
    "score against the best scores of background images, which have no source among those searched "
    "(conformal p-value; each candidate against the background's best match)."
)

_DECISION = {
    "attributed": (
        "At least one of the sources searched resembles the image more than chance explains, at "
        "the level alpha. Only sources marked as attributed pass that test; the others are listed "
        "because they are next in similarity, which alone means nothing."
    ),
    "no_source_found": (
        "No source was found among those searched. The ranked list below still names the least "
        "unlike of them, which is not an accusation. The image may have sources that are not held "
        "here, or that have become unrecognisable."
    ),
    "nothing-held": (
        "There was nothing to compare with: no source is held in what was searched. That says "
        "nothing about the image."
    ),
    "no-content": (
        "The image is of one colour, or nearly: there is nothing in it that could be compared. No "
        "source is claimed; the ranked list below is by chance."
    ),
    None: (
        "Nothing was decided, because no comparison with background images was available. The "
        "ranked list is by similarity alone, which on its own means nothing."
    ),
}
_PROMISE = (
    "What is promised: among queries exchangeable with the background, the rate of false "
    "attribution is at most alpha on average over background draws. A false attribution is that of "
    "an image which has no source among those searched. Images of another kind than the background "
    "images are not covered."
)
_PROMISE_FOR_THIS_BACKGROUND = (
    "What is promised: with 95 % confidence over draws of the background images, the rate of false "
    "attribution with the background images that were used is at most alpha, whatever alpha is "
    "chosen, among queries exchangeable with them. A false attribution is that of an image which "
    "has no source among those searched. Images of another kind than the background images are not "
    "covered."
)
_NOT_PROMISED = (
    "What is not promised: that the named image is the right one when a source exists, nor what "
    "share of all attributions is wrong, which depends on how common images with a source are."
)
_P_VALUE = (
    "The p-value is the proportion of background images whose best match among the sources "
    "searched is at least as strong as the one found, the image itself counted among them; of "
    "several kinds of background images, the largest proportion. It is not the probability that "
    "the attribution is wrong."
)
_P_VALUE_FOR_THIS_BACKGROUND = (
    "The p-value is an upper bound, holding with 95 % confidence for all p-values of this "
    "background at once, of the proportion of images like the background images whose best match "
    "among the sources searched would be at least as strong as the one found; of several kinds of "
    "background images, the largest. It is not the probability that the attribution is wrong."
)
_SHARES = (
    "A share estimates the probability that a true source of the image, drawn at random from all "
    "that it has, is this one. The rest, up to 100 %, belongs to other sources held or to sources "
    "not held. Shares measure neither copied area nor money due."
)
_BELIEVED = (
    "The shares start from what was believed before the image was looked at, and whoever asked has "
    "named it: that {} of such images have no source among those searched."
)
_SIMILARITY = (
    "Similarity is not proof of training. The figures compare pictures: they do not show that a "
    "model was trained on a source, nor how the image was made, nor who owns what. Copies of one "
    "picture may be held by many."
)


def statement(attribution: Attribution, no_source: float | None = None) -> tuple[str, ...]:
    """The paragraphs that belong to an answer, its decision first.

    Args:
        attribution: the answer.
        no_source: what shares start from, where whoever asked has said so.
    """
    if attribution.reason is not None:
        return (_DECISION[attribution.reason],)
    return (
        _DECISION[attribution.decision],
        *(_promised(attribution) if attribution.decision is not None else ()),
        _SHARES,
        *([] if no_source is None else [_BELIEVED.format(percentage(no_source))]),
        _SIMILARITY,
    )


def _promised(attribution: Attribution) -> tuple[str, ...]:
    if attribution.guarantee == "background":
        return (_PROMISE_FOR_THIS_BACKGROUND, _NOT_PROMISED, _P_VALUE_FOR_THIS_BACKGROUND)
    return (_PROMISE, _NOT_PROMISED, _P_VALUE)
