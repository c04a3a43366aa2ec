"""What keeps a call from being answered; every message says what to do."""

from __future__ import annotations

from typing import Any

import httpx


class ClientError(Exception):
    """A call has no answer."""


class NotAnswered(ClientError):
    """Nobody answered, or nobody who had time, for as long as the client was to wait."""


class BrokenOff(NotAnswered):
    """Lines ended in the middle: call again, for the rest where there is a way."""


class NotTheService(ClientError):
    """Something answered that is not what the service would say."""


class Refused(ClientError):
    """The service answered with a problem (RFC 9457).

    Attributes:
        status: of the response.
        slug: which kind of problem, such as `collection-not-found`; empty of an answer that is no
            problem document.
        problem: the document; empty likewise.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.slug = str(problem.get("type", "")).rpartition("/")[2]
        told = f": {problem['detail']}" if problem else "; is this address its own?"
        super().__init__(f"the service answers {status}{told}")

    @classmethod
    def by(cls, response: httpx.Response) -> Refused:
        """What a response says that is no success; its body has been read."""
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        known = isinstance(problem, dict) and isinstance(problem.get("detail"), str)
        return cls(response.status_code, problem if known else {})
