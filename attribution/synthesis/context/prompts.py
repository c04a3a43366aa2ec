"""Prompts of synthetic images, as in "Beyond Objects" (arXiv 2510.24078). Knows no model."""

from __future__ import annotations

from attribution.synthesis.context.captioner import Context


def prompt(class_name: str, context: Context | None, *, descriptor: str = "") -> str:
    """What a text-to-image model is asked for, and told of its training pictures.

    "an aircraft photo of a 707-320 in the Grass, sky, hangar background with the Taxiing on runway
    pose". The class's name stays as it is, underscores included; "a" stays "a" before it.

    Args:
        class_name: of the subject.
        context: of the image; None leaves the sentence's second half out.
        descriptor: what every subject is, such as "aircraft"; may be empty.
    """
    article = "an" if descriptor[:1].lower() in {"a", "e", "i", "o", "u"} else "a"
    kind = f"{article} {descriptor} photo" if descriptor else "a photo"
    asked = f"{kind} of a {class_name}"
    if context is None:
        return asked
    return f"{asked} in the {context.background} background with the {context.pose} pose"
