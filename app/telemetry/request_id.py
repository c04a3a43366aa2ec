"""The id that ties a response, its log lines and its problem together."""

from __future__ import annotations

import re
import secrets

from starlette.datastructures import Headers
from starlette.types import Scope

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STATE_KEY = "request_id"


def assign_request_id(scope: Scope) -> str:
    """Take the caller's id where it is short and plain (it goes to logs), else make one."""
    given = Headers(scope=scope).get(HEADER, "")
    request_id = given if _SANE.fullmatch(given) else f"req_{secrets.token_hex(10)}"
    scope.setdefault("state", {})[_STATE_KEY] = request_id
    return request_id


def request_id_of(scope: Scope) -> str:
    """The id that `assign_request_id` gave to this request."""
    request_id: str = scope["state"][_STATE_KEY]
    return request_id
