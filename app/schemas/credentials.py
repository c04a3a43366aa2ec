"""Content credentials as an answer shows them: what the maker of the image has signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from attribution.credentials.statement import HeldBy, State

if TYPE_CHECKING:
    from attribution.credentials.statement import Credentials, Ingredient

EXAMPLE: dict[str, Any] = {
    "state": "valid",
    "problems": [],
    "generator": "Generator 3.1",
    "signer": "Example Inc",
    "digital_source_type": "trainedAlgorithmicMedia",
    "ingredients": [
        {
            "title": "lighthouse.jpg",
            "relationship": "inputTo",
            "held": [
                {
                    "source_id": "src_4k7q2mzv5hx3nw6ty2ab",
                    "by": "bytes",
                    "uri": "photos/lighthouse.jpg",
                    "title": "Lighthouse at dusk",
                }
            ],
        }
    ],
    "more_ingredients": 0,
}


class HeldIngredientDocument(BaseModel):
    """A source that an ingredient is."""

    source_id: str
    by: HeldBy = Field(
        description="`bytes`: the very file lies in the manifest. `identifier`: the source's `uri` "
        "is an identifier of the ingredient. `picture`: its thumbnail shows the picture of the "
        "source."
    )
    uri: str | None = None
    title: str | None = None


class IngredientDocument(BaseModel):
    """What the image is said to be made of."""

    title: str | None
    relationship: str | None = Field(description="`parentOf`, `componentOf` or `inputTo`.")
    held: list[HeldIngredientDocument] = Field(description="Which sources it is, if it is held.")

    @classmethod
    def of(cls, ingredient: Ingredient) -> IngredientDocument:
        """An ingredient that was looked up."""
        held = [
            HeldIngredientDocument(
                source_id=each.source.source_id,
                by=each.by,
                uri=each.source.uri,
                title=each.source.title,
            )
            for each in ingredient.held
        ]
        return cls(title=ingredient.title, relationship=ingredient.relationship, held=held)


class CredentialsDocument(BaseModel, json_schema_extra={"examples": [EXAMPLE]}):
    """What the C2PA manifest of the image says: a statement by who signed it, no measurement."""

    state: State = Field(
        description="`trusted`: unchanged since it was signed, by a certificate of the trust list. "
        "`valid`: unchanged, but anybody may have signed it. `invalid`: changed since, or not "
        "signed as it should be. `unreadable`: damaged. `not-read`: this service lacks the extra "
        "`c2pa`."
    )
    problems: list[str] = Field(description="What is wrong, in the codes of C2PA.")
    generator: str | None = Field(description="What made the image, it says.")
    signer: str | None = Field(description="Who the certificate was given to, it says.")
    digital_source_type: str | None = Field(
        description="Such as `trainedAlgorithmicMedia`, of the vocabulary of the IPTC."
    )
    ingredients: list[IngredientDocument]
    more_ingredients: int = Field(description="Ingredients beyond those listed.")

    @classmethod
    def of(cls, credentials: Credentials) -> CredentialsDocument:
        """What was read of an image."""
        return cls(
            state=credentials.state,
            problems=list(credentials.problems),
            generator=credentials.generator,
            signer=credentials.signer,
            digital_source_type=credentials.digital_source_type,
            ingredients=[IngredientDocument.of(each) for each in credentials.ingredients],
            more_ingredients=credentials.more_ingredients,
        )
