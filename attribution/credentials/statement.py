"""What the manifest of an image says; plain data. Every text in it is foreign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # whoever only reads documents needs no catalog
    from attribution.catalog import Source

State = Literal["trusted", "valid", "invalid", "unreadable", "not-read"]
"""`trusted`: unchanged since it was signed, by a certificate of the trust list. `valid`: unchanged,
but anybody may have signed it. `invalid`: changed since, or not signed as it should be.
`unreadable`: it is damaged. `not-read`: this service lacks the extra that reads it."""
HeldBy = Literal["bytes", "identifier", "picture"]
"""`bytes`: the very file lies in the manifest. `identifier`: the source's `uri` is that of the
ingredient. `picture`: its thumbnail shows the picture of the source."""


@dataclass(frozen=True, slots=True)
class HeldIngredient:
    """A source that an ingredient is, and what says so."""

    source: Source
    by: HeldBy


@dataclass(frozen=True, slots=True)
class Ingredient:
    """What an image is said to be made of.

    Attributes:
        title: mostly the name of its file.
        relationship: `parentOf`, `componentOf` or `inputTo`.
        identifiers: under which its maker knows it: of the instance and of the document.
        digests: SHA-256 of what of it lies in the manifest, its thumbnail included.
        thumbnail: a small picture of it; empty where there is none.
        held: which sources it is, as far as that can be told.
    """

    title: str | None
    relationship: str | None
    identifiers: tuple[str, ...]
    digests: tuple[str, ...]
    thumbnail: bytes = field(default=b"", repr=False)
    held: tuple[HeldIngredient, ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the active manifest of an image says.

    Attributes:
        state: what the statement is worth.
        problems: codes of what is wrong, as C2PA names them.
        generator: what made the image, with its version.
        signer: who the certificate was given to.
        digital_source_type: as the actions have it, such as `trainedAlgorithmicMedia`.
        ingredients: what it is made of, at most `reading.MOST_INGREDIENTS`.
        more_ingredients: how many there are besides.
    """

    state: State
    problems: tuple[str, ...] = ()
    generator: str | None = None
    signer: str | None = None
    digital_source_type: str | None = None
    ingredients: tuple[Ingredient, ...] = ()
    more_ingredients: int = 0
