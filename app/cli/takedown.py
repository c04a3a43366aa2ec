"""`attribution takedown`: sources that must go, and stay away."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from app.cli import options
from app.cli.console import show, warn
from app.cli.failures import BadInvocation
from app.cli.wording import STILL_THERE, tell_wait
from app.settings import Settings

if TYPE_CHECKING:
    from attribution.catalog import Catalog

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def takedown_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Source ids, or sha256 of original files.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", "-r", help="Why; kept with the digest.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show what was taken down.")] = False,
    lift: Annotated[bool, typer.Option("--lift", help="Allow these digests again.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Delete sources for good: no byte of them stays, and they cannot come back.

    Every source with the same bytes goes, in all collections. What stays is the sha256 with time
    and reason; ingest, the HTTP API and restore refuse these bytes from then on. Works beside a
    running service.

    Exits with 1 when a name named nothing, or when something could not be removed from the disk.
    With --lift also when a digest was not taken down.
    """
    from attribution.catalog import Catalog  # SQLAlchemy: quick --help

    settings = options.settings_from(data=data)
    given = names or []
    if listing + lift + (reason is not None) != 1 or bool(given) == listing:
        raise BadInvocation(
            "give ids or digests with --reason, or digests with --lift, or --list alone"
        )
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        if listing:
            _list(catalog, as_json=as_json)
        elif lift:
            _lift(catalog, given, as_json=as_json)
        else:
            _take_down(catalog, settings, given, reason or "", as_json=as_json)


def _take_down(
    catalog: Catalog, settings: Settings, names: list[str], reason: str, *, as_json: bool
) -> None:
    from app.webhooks.recipients import told  # SQLAlchemy: quick --help
    from attribution.maintenance import erase

    digests = [name.lower() for name in names if _SHA256.fullmatch(name)]
    taken = catalog.takedowns.take(
        source_ids=[name for name in names if not _SHA256.fullmatch(name)],
        sha256s=digests,
        reason=reason,
        told=told(settings),
    )
    erased = erase(
        catalog, settings.data, settings.snapshots, index_url=settings.index_url, waiting=tell_wait
    )
    words = f"{len(taken.source_ids)} sources deleted, {len(taken.sha256s)} digests refused"
    left = tuple(dict.fromkeys([*erased.remaining, *taken.remaining])) if erased.remaining else ()
    show({**asdict(taken), "erased": asdict(erased)}, words, as_json=as_json)
    if left:
        warn(f"NOT DONE: {'; '.join(left)}. {STILL_THERE}")
    if not as_json and not erased.index_clean:
        warn(
            "The running service has not written a new index snapshot yet; it will. "
            "Run `attribution compact` to make sure."
        )
    unknown = [name for name in taken.missing if name not in digests]
    if unknown:
        warn(f"no source has the id {', '.join(unknown)}: nothing was done about it")
    if unknown or left:
        raise typer.Exit(1)


def _list(catalog: Catalog, *, as_json: bool) -> None:
    tombstones = catalog.takedowns.every()
    table = Table("sha256", "taken down", "reason", box=None, pad_edge=False)
    for tombstone in tombstones:
        moment = tombstone.at.isoformat(timespec="seconds")
        table.add_row(tombstone.sha256, moment, tombstone.reason)
    show([asdict(tombstone) for tombstone in tombstones], table, as_json=as_json)


def _lift(catalog: Catalog, digests: list[str], *, as_json: bool) -> None:
    lifted = catalog.takedowns.lift([digest.lower() for digest in digests])
    words = f"{len(lifted)} digests may be added again"
    show({"lifted": list(lifted)}, words, as_json=as_json)
    unknown = [digest for digest in digests if digest.lower() not in lifted]
    if unknown:
        warn(f"not taken down: {', '.join(unknown)}; `attribution takedown --list` shows what is")
        raise typer.Exit(1)
