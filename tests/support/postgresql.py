"""A real PostgreSQL server for the whole run, shared by all workers, and databases on it.

Whoever needs it first starts it. It ends with the last process that uses it, however that ends: a
watchdog waits for a lock of which every user holds a share.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from attribution.catalog import Catalog
from attribution.catalog.schema import metadata
from tests.support.users import NOBODY

PASSWORD = "not-to-be-shown"
_TEMPLATE = "migrated"
_WATCHDOG = """
import fcntl, os, shutil, signal, sys, time
users, folder = sys.argv[1:]
fcntl.flock(os.open(users, os.O_RDWR), fcntl.LOCK_EX)
try:
    with open(folder + "/data/postmaster.pid") as file:
        server = int(file.readline())
    os.kill(server, signal.SIGQUIT)
    while True:
        os.kill(server, 0)
        time.sleep(0.05)
except (OSError, ValueError):
    shutil.rmtree(folder, ignore_errors=True)
"""
# Nothing of it has to survive; ICU's order of text is not that of its bytes.
_INITDB = ("--no-sync", "--auth=trust", "--username=attribution", "--encoding=UTF8",
           "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")  # fmt: skip
_SETTINGS = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
    "wal_level": "minimal", "max_wal_senders": "0", "shared_buffers": "16MB", "jit": "off",
    "max_connections": "200", "timezone": "Asia/Kathmandu",
    "default_transaction_isolation": "serializable",
}  # fmt: skip
_EMPTY = ";".join(
    [
        *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)
          if table.name != "secrets"),
        "INSERT INTO meta VALUES (1, substr(md5(random()::text), 1, 16), 0)",
        "INSERT INTO compaction VALUES (1, 0, 0)",
        "INSERT INTO collections VALUES ('default', '', now())",
        *(f"SELECT setval('{name}', 1, false)"
          for name in ("sources_vector_id_seq", "jobs_number_seq", "calibrations_id_seq")),
    ]
)  # fmt: skip


class Server:
    """A server that runs, on a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()
        self._kept: tuple[str, psycopg.Connection] | None = None

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://attribution:{PASSWORD}@/{name}?host={self.folder}"

    def connect(self, name: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.folder), user="attribution", dbname=name, autocommit=True
        )

    @contextmanager
    def database(self, *, template: str = _TEMPLATE) -> Iterator[str]:
        """The URL of a database of its own, a catalog unless `template` is `template1`."""
        name = self._create(template)
        try:
            yield self.url(name)
        finally:
            with self.connect() as server:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def url_of_empty_catalogs(self) -> str | None:
        return None if self._kept is None else self.url(self._kept[0])

    def empty_catalog(self) -> str:
        """The URL of a new catalog, in a database that the next call makes new again."""
        if self._kept is None:
            name = self._create(_TEMPLATE)
            self._kept = name, self.connect(name)
        name, connection = self._kept
        connection.execute("SET lock_timeout = '10s'; BEGIN;" + _EMPTY + "; COMMIT")
        return self.url(name)

    @contextmanager
    def out_of_reach(self, url: str) -> Iterator[None]:
        """Meanwhile one database drops everybody and lets nobody in."""
        name = url.partition("@/")[2].partition("?")[0]
        self.close()
        with self.connect() as server:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            try:
                yield
            finally:
                server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def close(self) -> None:
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None

    def make_template(self, files: Path) -> None:
        with self.connect() as server:
            server.execute(f"CREATE DATABASE {_TEMPLATE}")
        Catalog.open(files, url=self.url(_TEMPLATE)).close()

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess:
        return _run(self.folder, program, *arguments)

    def _create(self, template: str) -> str:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        with self.connect() as server:
            server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name


@contextmanager
def shared_server(locks: Path) -> Iterator[Server]:
    """The server of this run, started if it has to be; `locks` is a folder of all workers."""
    with _locked(locks / "postgresql.users", fcntl.LOCK_SH) as users:
        with _locked(locks / "postgresql.start", fcntl.LOCK_EX):
            written = locks / "postgresql.folder"
            folder = Path(written.read_text()) if written.exists() else None
            if folder is None or not folder.exists():
                folder = Path(tempfile.mkdtemp(prefix="attribution-pg-"))  # its path must be short
                _start(folder, users)
                Server(folder).make_template(locks / "template")
                written.write_text(str(folder))
        server = Server(folder)
        try:
            yield server
        finally:
            server.close()


def why_absent() -> str | None:
    """Why there can be no server here; None where there can."""
    if _program("initdb") is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    return None


def require() -> None:
    """Skip where there is no server to start; fail in CI, which has to have one."""
    if reason := why_absent():
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def _start(folder: Path, users: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    subprocess.run(  # as nobody's child
        ["sh", "-c", '"$@" &', "sh", sys.executable, "-S", "-c", _WATCHDOG, users, folder],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, check=True,
    )  # fmt: skip
    _run(folder, "initdb", *_INITDB, "-D", folder / "data")
    settings = _SETTINGS | {"listen_addresses": "''", "unix_socket_directories": str(folder)}
    with (folder / "data" / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" if value == "''" else f"{name} = '{value}'\n"
                        for name, value in settings.items())  # fmt: skip
    _run(folder, "pg_ctl", "start", "-w", "-D", folder / "data", "-l", folder / "server.log")


def _run(folder: Path, program: str, *arguments: object) -> subprocess.CompletedProcess:
    found = _program(program)
    assert found is not None
    other = {"user": NOBODY, "group": NOBODY, "extra_groups": ()} if os.geteuid() == 0 else {}
    # Its own output goes to files: a server that is started would keep a pipe open.
    with tempfile.TemporaryFile() as told:
        done = subprocess.run(
            [found, *map(str, arguments)], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=told, stderr=told, check=False, timeout=120, **other,
        )  # fmt: skip
        told.seek(0)
        assert done.returncode == 0, told.read().decode()
    return done


def _program(name: str) -> str | None:
    """A program of the server: Debian keeps those of each version in a folder of their own."""

    def version(path: Path) -> int:
        return int(path.name) if path.name.isdecimal() else 0

    folders = sorted(Path("/usr/lib/postgresql").glob("*"), key=version, reverse=True)
    searched = os.pathsep.join([*(str(folder / "bin") for folder in folders), os.defpath,
                                os.environ.get("PATH", "")])  # fmt: skip
    return shutil.which(name, path=searched)


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[Path]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield path
    finally:
        os.close(descriptor)
