"""`attribution doctor`: looks at everything that a service needs, and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import typer
from rich.table import Table

from app.cli import options
from app.cli.console import out, print_json
from app.cli.doctor.check import Check
from app.cli.doctor.installed import installed
from app.cli.failures import BadInvocation

_MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
_STYLES = {"ok": "green", "note": "yellow", "problem": "red"}


def doctor_command(
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Say what is installed and set up, what is missing, and what to do about it.

    Looks at the program and its extras, settings, data folder, disk, address, Milvus, catalog,
    keys, encoder and engine, calibration and signing key. Changes nothing that is held, and works
    beside a running service. A *note* limits what a service can do; a *problem* keeps it from
    serving.

    Exits with 1 when there is a problem.
    """
    checks = list(_checks(data=data, encoder=encoder, weights=weights))
    healthy = all(each.state != "problem" for each in checks)
    if as_json:
        print_json({"healthy": healthy, "checks": [asdict(each) for each in checks]})
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for each in checks:
            todo = f"\n-> {each.todo}" if each.todo else ""
            table.add_row(
                _MARKS[each.state], each.name, each.found + todo, style=_STYLES[each.state]
            )
        out.print(table)
        out.print("ready to serve" if healthy else "a service would not start, or not answer")
    if not healthy:
        raise typer.Exit(1)


def _checks(**given: Any) -> Iterator[Check]:
    yield from installed()
    try:
        settings = options.settings_from(**given)
    except BadInvocation as error:
        yield Check(
            "settings", "problem", str(error), "mend that first: nothing else was looked at"
        )
        return
    from app.cli.doctor.holdings import holdings  # torch: seconds
    from app.cli.doctor.place import place

    yield from place(settings)
    yield from holdings(settings)
