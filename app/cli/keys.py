"""`attribution keys`: who may call the service. Works beside a running one, which obeys at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from app.cli import options
from app.cli.console import show, warn
from app.cli.failures import BadInvocation

if TYPE_CHECKING:
    from attribution.catalog import Catalog, Key

keys_group = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Say who may call the service: make, list and revoke API keys.

From the first key on, the service answers nobody without one, wherever it listens. Works beside a
running service, which follows at once. A key is shown once, when it is made; the catalog keeps
only its SHA-256.""",
)


class ScopeChoice(StrEnum):
    """The scopes of `attribution.catalog`, as options."""

    QUERY = "query"
    CURATE = "curate"
    ADMIN = "admin"


@keys_group.command("create")
def create_command(
    name: Annotated[str, typer.Argument(help="Whose key it is, such as 'web shop'.")],
    scope: Annotated[
        list[ScopeChoice] | None,
        typer.Option(
            "--scope",
            "-s",
            help="`query`: ask, and see sources. `curate`: list, add, change and delete sources. "
            "`admin`: everything. Repeat for several.  [default: query]",
        ),
    ] = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection",
            "-c",
            help="See and change only this collection; repeat for several.  [default: all]",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            help="A date such as 2030-01-31 (UTC), or a time from now such as 90d or 12h."
        ),
    ] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make a key and show it, this once.

    Clients send it as `Authorization: Bearer KEY`.
    """
    from attribution.catalog import InvalidField  # SQLAlchemy: quick --help

    expires_at = None if expires is None else expiry(expires, datetime.now(UTC))
    with _opened(data) as catalog:
        try:
            issued = catalog.keys.create(
                name,
                [choice.value for choice in scope or [ScopeChoice.QUERY]],
                collections=collection or None,
                expires_at=expires_at,
            )
        except InvalidField as error:
            raise BadInvocation(str(error)) from error
        known = {found.name for found in catalog.collections()}
    for missing in sorted((issued.key.collections or frozenset()) - known):
        warn(f"There is no collection {missing!r} yet; the key will see it once there is.")
    document = {**_document(issued.key), "key": issued.token}
    show(document, issued.token, as_json=as_json, soft_wrap=True, highlight=False)
    if not as_json:
        warn(f"This is {issued.key.key_id}. Keep it: it cannot be shown again.")


@keys_group.command("list")
def list_command(data: options.Data = None, as_json: options.Json = False) -> None:
    """List all keys ever made, without their secrets."""
    with _opened(data) as catalog:
        keys = catalog.keys.every()
    table = Table(box=None, pad_edge=False)
    for column in ("key", "name", "scopes", "collections", "created", "expires", "state"):
        table.add_column(column, overflow="fold")
    for key in keys:
        table.add_row(
            key.key_id,
            key.name,
            " ".join(sorted(key.scopes)),
            "all" if key.collections is None else " ".join(sorted(key.collections)),
            _day(key.created_at),
            _day(key.expires_at),
            key.state,
        )
    show([_document(key) for key in keys], table, as_json=as_json)


@keys_group.command("revoke")
def revoke_command(
    key_id: Annotated[str, typer.Argument(help="Its id, `key_...`, as `list` shows it.")],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Have a key refused from the next request on; it stays in the list."""
    with _opened(data) as catalog:
        key = catalog.keys.revoke(key_id)
    show(_document(key), f"{key.key_id} ({key.name}) is revoked", as_json=as_json, highlight=False)


@contextmanager
def _opened(data: Path | None) -> Iterator[Catalog]:
    from attribution.catalog import Catalog  # SQLAlchemy: quick --help

    settings = options.settings_from(data=data)
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        yield catalog


def expiry(text: str, now: datetime) -> datetime:
    """When a key ends: a date or time of ISO 8601, UTC where it names no zone, or `90d`, `12h`.

    Raises:
        BadInvocation: it is neither.
    """
    if match := re.fullmatch(r"(\d{1,5})([dh])", text):
        amount = int(match[1])
        return now + (timedelta(days=amount) if match[2] == "d" else timedelta(hours=amount))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInvocation(
            f"--expires is {text!r}: give a date such as 2030-01-31, or a time such as 90d or 12h"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _document(key: Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "collections": None if key.collections is None else sorted(key.collections),
        "created_at": key.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
        "state": key.state,
    }


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
