"""Before the service listens: is anybody kept out, and does somebody hold a key? Knows no HTTP."""

from __future__ import annotations

import logging
from pathlib import Path

from app.settings import Settings
from app.settings.limits import PREFIX
from attribution.catalog import Catalog, IssuedKey
from attribution.files import flush, replacing

logger = logging.getLogger(__name__)


class Unguarded(RuntimeError):
    """The service would listen to other machines, and has no keys."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} can be reached from other machines, and this catalog has no keys: whoever "
            "reaches the port could read and change it. Make a key with `attribution keys create`, "
            f"or set {PREFIX}ADMIN_KEY_FILE and one is written there, or listen on 127.0.0.1; "
            f"{PREFIX}UNGUARDED=true serves everybody nevertheless."
        )


def guard(settings: Settings, catalog: Catalog) -> None:
    """See to it that whoever can reach the service needs a key, as the settings want it.

    Where a file for the first admin key is set and no key has ever been made, one is made and
    written there, readable by its owner alone.

    Raises:
        Unguarded: it would listen to other machines without keys, and was not told to.
        OSError: the first key cannot be written; none was made.
    """
    path = settings.admin_key_file
    if path is not None:
        made = catalog.keys.create_first("first admin key", lambda issued: _keep(issued, path))
        if made is not None:
            logger.warning("made an admin key, %s: it is in %s", made.key.key_id, path.absolute())
    if settings.local_only or catalog.keys.have_been_made():
        return
    if not settings.unguarded:
        raise Unguarded(settings.host)
    logger.warning(
        "listening on %s without keys, as %sUNGUARDED says: whoever reaches the port may query, "
        "add and delete",
        settings.host,
        PREFIX,
    )


def _keep(issued: IssuedKey, path: Path) -> None:
    """Write the token so that it is whole or not there, and on disk before the key is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, mode=0o600) as file:
        file.write(f"{issued.token}\n".encode("ascii"))
    flush(path.parent)
