"""The problem document, RFC 9457, as it stands in the API's description."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ProblemError(BaseModel):
    """What is wrong with one value of the request."""

    location: str = Field(description="Where the value is.", examples=["query.top_k"])
    detail: str = Field(examples=["Input should be greater than or equal to 1"])


class ProblemDocument(BaseModel):
    """Every answer that is not a success."""

    type: str = Field(
        description="Stable name of the kind of problem; open it for what to do.",
        examples=["/problems/too-many-pixels"],
    )
    title: str = Field(description="The kind of problem, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened here, and what to do about it.")
    request_id: str | None = Field(
        default=None, description="The X-Request-ID of the response; the log has it too."
    )
    errors: list[ProblemError] = Field(default=[], description="The values that are wrong.")

    @classmethod
    def of(cls, error: Exception, *, request_id: str) -> ProblemDocument:
        """What kept one of several images from being answered or added."""
        # Knows every error there is, which whoever only reads documents need not import.
        from app.problems.mapping import problem_of  # noqa: PLC0415

        return cls(**problem_of(error).document(request_id=request_id))


class ProblemTypeDocument(BaseModel):
    """A kind of problem, explained."""

    type: str
    title: str
    status: int
    advice: str = Field(description="What to do about it.")
