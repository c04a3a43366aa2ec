"""Where and beside what a bench was run, for its JSON."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any


def circumstances(*packages: str, **of_machine: object) -> dict[str, Any]:
    """The machine, the load at this moment and the versions of some packages."""
    return {
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), **of_machine},
        "load_average_at_end": os.getloadavg(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
    }
