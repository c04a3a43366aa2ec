"""Lets a request in or not, before a byte of its body is read: keys, scopes, rates.

Where no key has ever been made, whoever is on this machine may call, and nobody's web page. From
the first key on, every request but those for public paths needs one, wherever the service listens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.caller import LOCAL, NOBODY, Caller, assign_caller
from app.access.origins import reason_to_refuse
from app.access.rates import Allowance, Rates
from app.access.scopes import Rule, is_public, methods_of, rule_of
from app.addresses import path_within
from app.problems.mapping import problem_of
from app.problems.problem import Problem
from app.settings import Settings
from app.telemetry.request_id import request_id_of
from attribution.catalog import CatalogError
from attribution.catalog.keys import Keys

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_REALM = 'Bearer realm="attribution"'
_THREADS = 4  # that look keys up; their own, so that checks do not queue behind searches


class AccessMiddleware:
    """Says who calls, and refuses what that caller may not do."""

    def __init__(self, app: ASGIApp, *, settings: Settings, rates: Rates) -> None:
        self._app = app
        self._settings = settings
        self._rates = rates
        self._keys_exist = False
        self._looking_up = anyio.CapacityLimiter(_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            caller, allowance = await self._admit(scope)
        except (Problem, CatalogError) as error:
            response = problem_of(error).response(request_id=request_id_of(scope))
            await response(scope, receive, send)
            return
        assign_caller(scope, caller)
        await self._app(scope, receive, send if allowance is None else _telling(allowance, send))

    async def _admit(self, scope: Scope) -> tuple[Caller, Allowance | None]:
        public = is_public(path_within(scope))
        if not await self._guarded(scope, public=public):
            self._require_neighbour(scope)
            return LOCAL, None
        if public:
            return NOBODY, None
        caller = await self._bearer(scope)
        rule = rule_of(scope["method"], path_within(scope))
        if rule is None:
            raise _no_such_endpoint(scope)
        _require_scope(caller, rule)
        return caller, self._charge(caller, rule)

    async def _guarded(self, scope: Scope, *, public: bool) -> bool:
        """Whether there are keys. Once there have been, there are for good."""
        if self._keys_exist:
            return True
        try:
            self._keys_exist = await self._look_up(_keys(scope).have_been_made)
        except CatalogError:
            if not public:
                raise
            # Health must be told while the catalog is out of reach; the stricter rules hold then.
            return False
        return self._keys_exist

    def _require_neighbour(self, scope: Scope) -> None:
        settings = self._settings
        if not (settings.local_only or settings.unguarded):
            raise _unauthenticated("No key has been made yet: `attribution keys create` makes one.")
        reason = reason_to_refuse(
            Headers(scope=scope),
            scheme=scope["scheme"],
            local_only=settings.local_only,
            origins=settings.allowed_origins,
        )
        if reason is not None:
            own = settings.local_only
            answers = "programs and pages of its own machine" if own else "its pages"
            raise Problem(
                "cross-site-request",
                f"{reason}. This service has no keys, so of all pages it answers only {answers}.",
            )

    async def _bearer(self, scope: Scope) -> Caller:
        token = _token(Headers(scope=scope))
        key = await self._look_up(_keys(scope).verify, token)
        if key is None:
            raise _unauthenticated("This key is not known here.", error="invalid_token")
        if key.state != "active":
            raise _unauthenticated(f"This key is {key.state}.", error="invalid_token")
        return Caller.of(key)

    async def _look_up(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._looking_up)

    def _charge(self, caller: Caller, rule: Rule) -> Allowance | None:
        if caller.key_id is None:
            return None
        allowance = self._rates.take(caller.key_id, rule.scopes[0])
        if allowance is not None and allowance.retry_after is not None:
            raise Problem(
                "too-many-requests",
                f"This key may send {allowance.limit} requests a minute under scope "
                f"{rule.scopes[0]!r}.",
                retry_after=allowance.retry_after,
                headers=allowance.headers(),
            )
        return allowance


def _keys(scope: Scope) -> Keys:
    service = getattr(scope["app"].state, "service", None)
    if service is None:
        raise Problem("not-ready", "The service is starting.", retry_after=1)
    keys: Keys = service.catalog.keys
    return keys


def _token(headers: Headers) -> str:
    sent = headers.getlist("authorization")
    if not sent:
        raise _unauthenticated("Send a key: `Authorization: Bearer attr_...`.")
    scheme, _, token = sent[0].partition(" ")
    if len(sent) > 1 or scheme.lower() != "bearer":
        raise _unauthenticated("Send one Authorization header: `Bearer`, a space, and the key.")
    return token.strip()


def _no_such_endpoint(scope: Scope) -> Problem:
    methods = methods_of(path_within(scope))
    if methods:
        return Problem("method-not-allowed", headers={"Allow": ", ".join(methods)})
    return Problem("not-found")


def _require_scope(caller: Caller, rule: Rule) -> None:
    if not caller.scopes.intersection(rule.scopes):
        needed = " or ".join(rule.scopes)
        challenge = f'{_REALM}, error="insufficient_scope", scope="{" ".join(rule.scopes)}"'
        raise Problem(
            "forbidden",
            f"This key lacks the scope {needed}, which {rule.method} {rule.template} needs.",
            headers={"WWW-Authenticate": challenge},
        )
    if rule.whole and caller.collections is not None:
        raise Problem(
            "forbidden",
            "This key is limited to collections, and this endpoint concerns the whole catalog.",
            headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope"'},
        )


def _unauthenticated(detail: str, *, error: str | None = None) -> Problem:
    challenge = _REALM if error is None else f'{_REALM}, error="{error}"'
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def _telling(allowance: Allowance, send: Send) -> Send:
    async def send_with_allowance(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(allowance.headers())
        await send(message)

    return send_with_allowance
