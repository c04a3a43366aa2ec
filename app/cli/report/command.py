"""`attribution report`: an answer as a document to keep, its keys, and the check of a signature.

It imports nothing heavy: whoever checks a signature needs no encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli import options
from app.cli.asked import Asked
from app.cli.console import fail_about, one_line, out, show
from app.cli.neighbour import neighbour_of

EXIT_CODES = {
    "valid": 0,
    "altered": 3,
    "other-key": 4,
    "unsigned": 5,
    "reformatted": 6,
    "intact": 7,
}
"""Of `attribution report verify`; 1 is a file that is no report, 2 a misspelt command."""


def report_command(
    image: Annotated[
        Path,
        typer.Argument(
            parser=options.path_given, metavar="IMAGE", help="Image to attribute.",
            show_default=False,
        ),
    ],
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--out", "-o", parser=options.path_given, metavar="PATH", show_default=False,
            help="File to write: .json, .html or .pdf; repeat it for several forms of one report.",
        ),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--c2pa", parser=options.path_or_unset, metavar="PATH", show_default=False,
            help="Also write a copy of the image that holds the report in a signed C2PA manifest.",
        ),
    ] = None,
    certificates: Annotated[
        Path | None,
        typer.Option(
            "--c2pa-certificates", parser=options.path_or_unset, metavar="PATH",
            help="Certificates in PEM, the leaf first, that say whose the key is.",
        ),
    ] = None,
    certified_key: Annotated[
        Path | None,
        typer.Option(
            "--c2pa-key", parser=options.path_or_unset, metavar="PATH",
            help="Private key in PEM to sign the manifest with, readable by you alone.",
        ),
    ] = None,
    top_k: options.TopK = 10,
    collection: options.Collections = None,
    alpha: options.Alpha = None,
    guarantee: options.Guarantee = None,
    no_source: options.NoSource = None,
    any_way_up: options.AnyWayUp = False,
    signing_key: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_or_unset, metavar="PATH",
            help="Key to sign with.  [default: $ATTRIBUTION_SIGNING_KEY, or unsigned]",
        ),
    ] = None,
    key_file: options.KeyFile = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
) -> None:  # fmt: skip
    """Put the answer about one image into a document: JSON, HTML or PDF, signed if you have a key.

    The document holds what a reader needs later: the image's hash, the ranked sources with licence
    and thumbnail, p-values and shares, how they were found, and what the figures mean and do not
    mean. The JSON is canonical (RFC 8785); HTML and PDF carry it inside. A report of an image
    without source says so: it is no accusation (docs/answers.md).
    """
    from app.cli.report.making import make_report, signed_copy  # what renders; not for `verify`
    from app.cli.wording import warn_of_nothing_held
    from attribution.report.wording import verdict

    written = outputs or []
    copy = None if credentials is None else signed_copy(credentials, certificates, certified_key)
    if not written and copy is None:
        raise typer.BadParameter("name a file to write", param_hint="--out")
    settings = options.settings_from(
        data=data, encoder=encoder, weights=weights, signing_key=signing_key
    )
    asked = Asked.of(
        settings,
        top_k=top_k,
        alpha=alpha,
        collections=collection,
        guarantee=guarantee,
        no_source=no_source,
        any_way_up=any_way_up,
    )
    named = bool(encoder) or weights is not None
    with neighbour_of(settings, key_file, named=named) as neighbour:
        report = make_report(settings, asked, image, written, neighbour, copy, named=named)
    made = verdict(report)
    out.print(f"{one_line(image)}: {made.headline.lower()}. {made.reason}", soft_wrap=True)
    for path in (*written, *(() if copy is None else (copy.path,))):
        out.print(str(path), soft_wrap=True)
    if not report.sources:
        warn_of_nothing_held(settings.data, collection or ())


def verify_command(
    file: Annotated[
        Path,
        typer.Argument(
            parser=options.path_given,
            metavar="FILE",
            help="The JSON form of a report.",
            show_default=False,
        ),
    ],
    public_key: Annotated[
        str | None,
        typer.Option(
            help="Key that it should be signed by: a PEM file, or base64 of the 32 bytes.  "
            "[default: that of $ATTRIBUTION_SIGNING_KEY]"
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check that a report is as its signer made it, byte for byte.

    Take the public key from its owner (`GET /v1/report-key`, or the .pub file beside the key), not
    from the report: anybody can sign a forgery with a key of their own.

    Exit code 0: valid. 3: altered. 4: signed by another key. 5: unsigned. 6: same content, written
    anew by some program. 7: unchanged, but no key was given to check the signer by. 1: no report.
    """
    from attribution.report.canonical import NotAReport  # quick --help
    from attribution.report.signing import load_key, load_public_key
    from attribution.report.verification import verify

    data = file.read_bytes()
    own = options.settings_from().signing_key
    trusted = None
    if public_key is not None:
        trusted = load_public_key(public_key)
    elif own is not None:
        trusted = load_key(own).public
    try:
        verification = verify(data, trusted)
    except NotAReport as error:
        fail_about(file, f"{error}{_where_the_json_is(data)}")
        raise typer.Exit(1) from error
    key_id = None if verification.key is None else verification.key.id
    named = "" if key_id is None else f" (key {key_id})"
    show(
        {"file": str(file), "verdict": verification.verdict, "key_id": key_id},
        f"{file}: {verification.verdict}{named}: {verification.meaning}",
        as_json=as_json,
        soft_wrap=True,
    )
    raise typer.Exit(EXIT_CODES[verification.verdict])


def new_key_command(
    path: Annotated[
        Path,
        typer.Argument(
            parser=options.path_given, metavar="PATH", help="File to write.", show_default=False
        ),
    ],
) -> None:
    """Make a key to sign reports with: PATH for you alone, PATH.pub for everybody.

    Then set ATTRIBUTION_SIGNING_KEY to PATH. Whoever has PATH can sign as you; an existing file is
    never overwritten.
    """
    from attribution.report.signing import new_key  # quick --help

    key = new_key(path).public
    out.print(f"{path}: private, keep it. {path}.pub: key {key.id}, {key.base64}", soft_wrap=True)


class _ImageOrCommand(TyperGroup):
    """A first word that names no command is the image to report on."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in front that was left out."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


report_group = typer.Typer(
    cls=_ImageOrCommand,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=f"""{report_command.__doc__}

    `attribution report IMAGE --out FILE.pdf` is short for `attribution report make`, whose options
    `attribution report make --help` lists.
    """,
)
report_group.command("make")(report_command)
report_group.command("verify")(verify_command)
report_group.command("new-key")(new_key_command)


def _where_the_json_is(data: bytes) -> str:
    start = data[:200].lstrip().lower()
    if start.startswith(b"%pdf"):
        return "; the signed form of a PDF is the JSON attached to it: save that and verify it"
    if start.startswith(b"<!doctype html"):
        return "; the signed form of a page is the JSON that it links to: save that and verify it"
    return ""
