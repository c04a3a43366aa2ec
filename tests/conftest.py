"""What holds for every test: workers side by side share the cores instead of fighting for them."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from tests.support import postgresql as postgresql_servers
from tests.support.catalogs import made_at_once, schema_of

if "PYTEST_XDIST_WORKER" in os.environ:
    # Read when torch is first imported, which no plugin does.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let no collection of garbage look at the tests and at what they import: all of it stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _catalogs_made_at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Spare every test the migrations, which have tests of their own."""
    with made_at_once(schema_of(tmp_path_factory.mktemp("schema"))):
        yield


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgresql_servers.Server]:
    """A PostgreSQL server that all workers share; without one the test is skipped, in CI failed."""
    postgresql_servers.require()
    locks = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        locks = locks.parent
    with postgresql_servers.shared_server(locks) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("ATTRIBUTION_")]:
        monkeypatch.delenv(name)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """After the last line of pytest itself, say so where the browser tests did not run."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = [
        report
        for report in reporter.stats.get("skipped", ())
        if isinstance(report, pytest.TestReport) and "browser" in report.keywords
    ]
    if skipped:
        reporter.write_line(
            f"{len(skipped)} browser tests were skipped, for want of Chromium: install it "
            "(Debian: apt-get install chromium-headless-shell) or put Chrome on the PATH.",
            yellow=True,
        )
