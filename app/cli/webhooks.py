"""`attribution webhooks`: what waits to be told to the addresses listed, and what was given up."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from app.cli import options
from app.cli.console import one_line, out, show

if TYPE_CHECKING:
    from attribution.catalog import Catalog, Message

webhooks_group = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""See what could not be told to the addresses of ATTRIBUTION_WEBHOOK_URLS, and try again.

A running service tells them, signed, when a source is attributed or taken down (docs/webhooks.md).
Works beside it. To begin: `attribution webhooks secret` makes ATTRIBUTION_WEBHOOK_SECRET.""",
)


@webhooks_group.command("list")
def list_command(data: options.Data = None, as_json: options.Json = False) -> None:
    """Show messages that were given up, then those that wait, at most 1,000."""
    with _opened(data) as catalog:
        messages = catalog.webhooks.every()
    table = Table("message", "to", "what", "state", "attempts", "trouble", box=None, pad_edge=False)
    for each in messages:
        table.add_row(
            each.message_id,
            one_line(each.url),
            each.kind,
            "given up" if each.dead else f"due {each.due_at:%Y-%m-%d %H:%M:%S}",
            str(each.attempts),
            one_line(each.trouble or ""),
        )
    show([_document(each) for each in messages], table, as_json=as_json)


@webhooks_group.command("retry")
def retry_command(data: options.Data = None) -> None:
    """Try again what was given up; a running service does within seconds."""
    with _opened(data) as catalog:
        out.print(f"{catalog.webhooks.revive()} messages are tried again")


@webhooks_group.command("forget")
def forget_command(data: options.Data = None) -> None:
    """Delete what was given up.

    Where the settings of this command name addresses, also what waits for any other.
    """
    told = options.settings_from(data=data).webhook_targets
    with _opened(data) as catalog:
        out.print(f"{catalog.webhooks.forget(told or None)} messages forgotten")


@webhooks_group.command("secret")
def secret_command() -> None:
    """Make a secret: give it to the service as ATTRIBUTION_WEBHOOK_SECRET, and to the receiver."""
    out.print(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}", soft_wrap=True)


@contextmanager
def _opened(data: Any) -> Iterator[Catalog]:
    from attribution.catalog import Catalog  # SQLAlchemy: quick --help

    settings = options.settings_from(data=data)
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        yield catalog


def _document(message: Message) -> dict[str, Any]:
    kept = asdict(message)
    del kept["record"], kept["number"]
    return {
        **kept,
        "created_at": message.created_at.isoformat(),
        "due_at": message.due_at.isoformat(),
    }
