"""`attribution ingest`: a folder, a manifest or tar files into the catalog, here or on Ray.

Imports nothing heavy: a shell that completes its options asks this module for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli import options
from app.cli.console import facts, note, progress, show, warn, warn_of_each
from app.cli.failures import BadInvocation
from app.settings import Settings

if TYPE_CHECKING:
    from attribution.ingestion import (
        IngestReport,
        ManifestProblem,
        ManifestRow,
        Missing,
        Progress,
        Shard,
    )


def _place_given(text: str) -> str:
    """An address as it is written, or a path."""
    from attribution.ingestion.addresses import is_address

    return text if is_address(text) else str(options.path_given(text))


def ingest_command(
    place: Annotated[
        str,
        typer.Argument(
            parser=_place_given,
            metavar="PATH",
            help="Folder of images (searched recursively), a JSON Lines manifest, a spreadsheet "
            "exported as CSV, a tar file, or an address that fsspec reads (s3://bucket/folder).",
        ),
    ],
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            parser=options.path_or_unset,
            metavar="PATH",
            help="CSV that says what the pictures of the folder are.  [default: FOLDER.csv beside "
            "it or metadata.csv in it, where there is one]",
        ),
    ] = None,
    no_table: Annotated[
        bool, typer.Option("--no-table", help="Read no CSV beside the folder.")
    ] = False,
    embedded: Annotated[
        bool | None,
        typer.Option(
            "--embedded/--no-embedded",
            help="Read title, creator, rights and opt-outs out of the pictures (EXIF, IPTC, XMP) "
            "where nothing else states them.  [default: if the extra `metadata` is installed]",
        ),
    ] = None,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="For rows that name none.")
    ] = "default",
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Take out sources whose file holds another picture now, or rename them where "
            "another file holds theirs.",
        ),
    ] = False,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Also list sources whose file is gone; deletes none."),
    ] = False,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Images encoded at a time.")] = 64,
    engine: Annotated[
        Literal["here", "ray"],
        typer.Option(
            "--engine",
            help="Who reads and encodes: this process, or workers on Ray, with the extra `ray`, on "
            "the cluster that RAY_ADDRESS names or on this machine (docs/scaling.md). What runs "
            "the encoder's network is ATTRIBUTION_ENGINE.",
        ),
    ] = "here",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Workers on Ray.  [default: one for each core]"),
    ] = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Add images to the catalog as sources.

    A manifest is JSON Lines; each row has `path` (relative to the manifest) and may have `uri`,
    `title`, `creator`, `licence`, `collection` and `metadata`. Or it is a CSV with columns so
    called, in common spellings; further columns become metadata. What neither states is read out
    of the picture itself (docs/operations.md). Pictures of a folder are known by
    their content, whatever they are called. What cannot be read or is left out, such as recycle
    bins and links that lead nowhere, is skipped and listed (docs/operations.md has the table).
    The pictures of a tar file have what the .json and .txt beside them say, as in webdataset; tar
    files in a folder are read with --engine ray.

    Run it again at any time: what is there is not added twice, metadata follows the manifest, and
    an interrupted run goes on where it was. A running service finds the new sources within a
    second.

    A file that holds another picture than before becomes a new source; the old one stays, and is
    named, unless --update takes it out. Where another file holds the old picture now, the source
    is the same, and --update gives it that name.

    Exits with 1 when a file was skipped.
    """
    from app.inference.upload import decoding_limits  # torch: seconds
    from attribution.catalog import Catalog
    from attribution.catalog.presence import require_place
    from attribution.ingestion import Names, embedded_reader, expanded, ingest
    from attribution.opening.load import load_by_engine, load_registered

    path = Path(place)
    if workers is not None and engine == "here":
        raise BadInvocation("--workers are those on Ray: give --engine ray as well")
    if missing and (engine == "ray" or not _is_plain(place)):
        raise BadInvocation(
            "--missing compares a folder or manifest on this machine: not tar files or addresses, "
            "and not with --engine ray"
        )
    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    others: Counter[str] = Counter()
    said_in = embedded_reader(_asked(settings, embedded))
    limits = decoding_limits(settings)
    rows = _rows(place, collection, table, others, beside=not no_table, tars=engine == "ray")
    names = Names(path if path.is_dir() else None, collection) if missing else None
    require_place(settings.data)
    loaded = load_by_engine(settings)
    with Catalog.open(settings.data, url=settings.database_url) as catalog, progress() as bar:
        task = bar.add_task("Ingesting", total=None)

        def show_progress(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total)

        if engine == "ray":
            from app.cli.bulk import ingest_on_ray

            report = ingest_on_ray(
                catalog,
                loaded,
                rows,
                settings,
                workers=workers,
                batch_size=batch,
                embedded=said_in,
                on_progress=show_progress,
                update=update,
            )
        else:
            here = expanded(rows, max_bytes=limits.max_bytes)
            report = ingest(
                catalog,
                loaded,
                here if names is None else names.noting(here),
                batch_size=batch,
                limits=limits,
                on_progress=show_progress,
                load=lambda registered: load_registered(settings, registered).encoder,
                update=update,
                embedded=said_in,
            )
        bar.update(task, total=bar.tasks[0].completed)
        gone = None if names is None else names.missing(catalog, report.elsewhere)
    _show(report, others, gone, update=update, as_json=as_json)
    if _is_plain(place) and any(each.path == path for each in report.skipped):
        warn(f"mend these lines of {path} and run this again: nothing is added twice")
    if report.skipped:
        raise typer.Exit(1)


def _is_plain(place: str) -> bool:
    """Whether it is a folder or a manifest on this machine."""
    from attribution.ingestion import is_address, named_as_tar

    return not is_address(place) and (Path(place).is_dir() or not named_as_tar(place))


def _rows(
    place: str,
    collection: str,
    table: Path | None,
    others: Counter[str],
    *,
    beside: bool,
    tars: bool,
) -> Iterator[ManifestRow | ManifestProblem | Shard]:
    """What to ingest; what is wrong with the place itself is raised at once."""
    from attribution.ingestion import Shard, is_address, named_as_tar, read_address, read_with_table

    if table is not None and not _is_plain(place):
        raise BadInvocation("--table says what the pictures of a folder on this machine are")
    if is_address(place):
        return read_address(place, collection=collection)
    path = Path(place)
    if not _is_plain(place) and path.is_file():
        return iter([Shard(place, path, collection)])
    shards: list[Shard] = []

    def on_other(other: Path) -> None:
        if tars and named_as_tar(other.name) and other.is_file():
            shards.append(Shard(str(other), other, collection))
        else:
            others.update([other.suffix.lower() or other.name])

    rows = read_with_table(
        path,
        collection=collection,
        table=table,
        beside=beside,
        on_other=on_other,
        on_note=note,
    )
    return chain(rows, _later(shards))


def _later(shards: list[Shard]) -> Iterator[Shard]:
    """Those that were found until this is reached."""
    yield from shards


def _asked(settings: Settings, embedded: bool | None) -> bool | None:
    """Whether pictures are to be read for what they say: the option's word, then the settings'."""
    if embedded is None and not settings.embedded_metadata:
        return False
    return embedded


def _show(
    report: IngestReport,
    others: Counter[str],
    gone: Sequence[Missing] | None,
    *,
    update: bool,
    as_json: bool,
) -> None:
    """The counts, then what was skipped, replaced and is missing, each with its name."""
    named = asdict(report) | {"no_pictures": others.total()}
    del named["elsewhere"]
    if gone is not None:
        named["missing"] = [asdict(each) for each in gone]
    counts = {
        name: len(value) if isinstance(value, list | tuple) else value
        for name, value in named.items()
        if value or name not in ("replaced", "renamed", "no_pictures", "embedded")
    }
    show(named, facts(counts), as_json=as_json)
    if as_json:
        return
    tell_each = partial(warn_of_each, where="--json lists them all")
    tell_each([f"skipped {each.path}: {each.reason}" for each in report.skipped])
    if others:
        kinds = ", ".join(f"{kind} {count}" for kind, count in others.most_common(5))
        warn(f"{others.total()} other files are no pictures: {kinds}")
    done = "was taken out" if update else "is held besides; --update takes it out"
    tell_each(
        [
            f"{each.path} holds another picture now: the one before, {each.source_id}, {done}"
            for each in report.replaced
        ]
    )
    done = "is called so now" if update else "has its old name; --update gives it this one"
    tell_each([f"{each.path} was renamed: {each.source_id} {done}" for each in report.renamed])
    tell_each(
        [
            f"missing {each.uri}: {each.source_id} is held still"
            + (f", and its picture is {each.now}" if each.now else "")
            for each in gone or ()
        ]
    )
    if not (report.added or report.unchanged or report.updated or report.skipped):
        warn("There were no images to add.")
