"""Which version of the service this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def service_version() -> str:
    """The installed version; 0 where it runs from a source tree that was never installed."""
    try:
        return version("attribution")
    except PackageNotFoundError:
        return "0"
