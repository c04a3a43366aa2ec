"""Synthetic images before they are made: everything that decides each of them, as JSON Lines.

A plan is made of its arguments alone, so that a run that was stopped goes on with the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attribution.synthesis.context.bank import (
    LARGEST_SEED,
    ContextBank,
    Drawn,
    Source,
    draw_contexts,
    generator_of,
)
from attribution.synthesis.context.independence import Independence, independence
from attribution.synthesis.context.prompts import prompt


class BadPlan(ValueError):
    """A plan cannot be made or kept; the message says why."""


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image to be made.

    Attributes:
        number: its place in the plan.
        prompt: what the model is asked for.
        class_name: of its subject.
        exemplars: the pictures that the model knows the subject from, all of the class: its true
            sources.
        context: what is asked for besides the subject, and where that comes from.
        source: how contexts were drawn.
        seed: of the image's noise.
        model: what makes it.
    """

    number: int
    prompt: str
    class_name: str
    exemplars: tuple[str, ...]
    context: Drawn
    source: Source
    seed: int
    model: str

    @property
    def document(self) -> dict[str, Any]:
        """As JSON, a line of the plan's file."""
        context = self.context.context
        return {
            "number": self.number,
            "prompt": self.prompt,
            "class": self.class_name,
            "exemplars": list(self.exemplars),
            "context": context and {"background": context.background, "pose": context.pose},
            "origin": {
                "source": self.source,
                "image": self.context.image,
                "class": self.context.class_name,
            },
            "seed": self.seed,
            "model": self.model,
        }


def plan_images(
    bank: ContextBank,
    per_class: int,
    *,
    model: str,
    source: Source = "dataset",
    seed: int = 0,
    same_draws: bool = False,
    descriptor: str = "",
    classes: Sequence[str] | None = None,
) -> tuple[PlannedImage, ...]:
    """Plan as many images of each class, class by class.

    Args:
        bank: pictures and contexts.
        per_class: images of each class.
        model: what will make them, a name or digest.
        source: where contexts are drawn from; see `draw_contexts`.
        seed: of contexts and noise.
        same_draws: every class has the same contexts and the same noise, as in the authors'
            program; by default each image has draws of its own.
        descriptor: what every subject is.
        classes: which; all of the bank by default.

    Raises:
        BadPlan: a negative count, or a class of which the bank has no picture.
        EmptyBank: nothing to draw from.
    """
    if per_class < 0:
        raise BadPlan(f"images of a class are a count, not {per_class}")
    planned: list[PlannedImage] = []
    for name in bank.classes if classes is None else classes:
        exemplars = tuple(row.image for row in bank.of_class(name))
        if not exemplars:
            raise BadPlan(f"there is no picture of {name!r} to make images from")
        drawn = draw_contexts(
            bank, name, per_class, source=source, seed=seed, same_draws=same_draws
        )
        stream = generator_of(seed, *([] if same_draws else [name]), "noise")
        for context in drawn:
            words = prompt(name, context.context, descriptor=descriptor)
            noise = int(stream.integers(LARGEST_SEED))
            planned.append(
                PlannedImage(len(planned), words, name, exemplars, context, source, noise, model)
            )
    return tuple(planned)


def class_and_context(plan: Sequence[PlannedImage], *, seed: int = 0) -> Independence:
    """Whether a plan's contexts come from any class alike, by the class they were drawn from.

    The texts themselves would say little: most contexts of a few-shot set are there once, so that
    they tell the class of their picture whatever is drawn.

    Raises:
        BadPlan: no image of the plan has a context that came from a picture.
    """
    pairs = [
        (image.class_name, image.context.class_name)
        for image in plan
        if image.context.class_name is not None
    ]
    if not pairs:
        raise BadPlan("no context of this plan came from a picture: there is nothing to test")
    return independence([own for own, _ in pairs], [origin for _, origin in pairs], seed=seed)
