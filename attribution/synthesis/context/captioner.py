"""The context of a picture, in words that do not name its subject, and who finds such words.

Background and pose are what "Beyond Objects" (arXiv 2510.24078) marginalises over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PIL import Image


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds a subject and how it stands, without a closing period.

    Attributes:
        background: such as "Grass, sky, hangar".
        pose: such as "Taxiing on runway".
    """

    background: str
    pose: str


NOTHING = Context("plain", "as it is")
"""Said where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Described:
    """A picture of a few-shot set and its context.

    Attributes:
        image: its path, as whoever made the set writes it.
        class_name: the subject's class, as it is written in prompts.
        context: what else it shows.
    """

    image: str
    class_name: str
    context: Context


class Captioner(Protocol):
    """Says what a picture shows besides its subject.

    Attributes:
        name: what captions came from, for the manifest.
    """

    name: str

    def describe(self, image: Image.Image) -> Context:
        """The context of an RGB picture; the same picture has the same context."""
        ...
