"""Which encoders new sources are embedded under, and the one row that says which of them serves."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from attribution.catalog.errors import ActiveEncoderLeftOut, EncoderNotRegistered
from attribution.catalog.records import RegisteredEncoder, Registry
from attribution.catalog.schema import active_encoder, encoders


def registry(connection: Connection) -> Registry:
    """Everything registered, as of one moment."""
    rows = connection.execute(sa.select(encoders.c.model_id, encoders.c.name, encoders.c.weights))
    found = tuple(RegisteredEncoder(*row) for row in sorted(rows, key=lambda row: row.model_id))
    row = connection.execute(
        sa.select(active_encoder.c.model_id, active_encoder.c.previous)
    ).one_or_none()
    return Registry(found) if row is None else Registry(found, row.model_id, row.previous)


def active(connection: Connection) -> str | None:
    """The encoder that serves; None where none was ever activated."""
    return connection.execute(sa.select(active_encoder.c.model_id)).scalar_one_or_none()


def put(connection: Connection, encoder: RegisteredEncoder) -> None:
    """Register an encoder, or say anew where it is found."""
    place = {"name": encoder.name, "weights": encoder.weights}
    changed = connection.execute(
        sa.update(encoders).where(encoders.c.model_id == encoder.model_id).values(place)
    )
    if not changed.rowcount:
        connection.execute(
            sa.insert(encoders).values(
                model_id=encoder.model_id, registered_at=datetime.now(UTC), **place
            )
        )


def remove(connection: Connection, model_id: str) -> bool:
    """Forget an encoder, which must not be active; whether there was one."""
    removed = connection.execute(sa.delete(encoders).where(encoders.c.model_id == model_id))
    return bool(removed.rowcount)


def activate(connection: Connection, model_id: str) -> None:
    """Write the row. Who calls has made sure that every source can be found.

    Raises:
        EncoderNotRegistered: nobody could load it.
    """
    if registry(connection).find(model_id) is None:
        raise EncoderNotRegistered(model_id)
    before = active(connection)
    if before == model_id:
        return
    row = {"model_id": model_id, "previous": before, "since": datetime.now(UTC)}
    if before is None:
        connection.execute(sa.insert(active_encoder).values(id=1, **row))
    else:
        connection.execute(sa.update(active_encoder).values(row))


def require_active(connection: Connection, embedded: Iterable[Container[str]]) -> None:
    """Refuse new sources that no query of the active encoder would find.

    Args:
        connection: in the transaction that adds them.
        embedded: of each source, the encoders that it comes with a row of.

    Raises:
        ActiveEncoderLeftOut: one comes without a row of the encoder that serves.
    """
    wanted = active(connection)
    if wanted is not None and not all(wanted in models for models in embedded):
        raise ActiveEncoderLeftOut(wanted)
