"""Where and beside what a bench was run, for its JSON."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def circumstances(*packages: str, **of_machine: object) -> dict[str, Any]:
    """The machine, the load at this moment and the versions of some packages."""
    return {
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), **of_machine},
        "load_average_at_end": os.getloadavg(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
    }


def tell(result: dict[str, Any], out: Path | None) -> None:
    """Print what was found as JSON, and write it where that is wanted."""
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n")
    print(text)
