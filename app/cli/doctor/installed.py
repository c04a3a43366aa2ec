"""What is installed: this program, Python, and which extras are whole. Imports none of them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata

from app.cli.doctor.check import Check
from app.version import service_version

_DISTRIBUTION = "attribution"
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")
_NAME = re.compile(r"[\w.-]+")
_NEWER_PYTHON = re.compile(r"""python_version\s*>=\s*["'](\d+)\.(\d+)["']""")
_OF_DEVELOPERS = frozenset({"dev", "docs"})
USES = {
    "c2pa": "content credentials of images, and of reports",
    "evaluate": "charts and intervals of `attribution evaluate`",
    "formats": "HEIC, AVIF and TIFF images",
    "generation": "`attribution generate` by a text-to-image model",
    "iscc": "content codes (ISCC) of sources",
    "metadata": "what pictures say of themselves (EXIF, IPTC, XMP)",
    "milvus": "vectors in a Milvus, for several machines",
    "onnx": "the encoder by ONNX Runtime",
    "otel": "traces",
    "postgres": "a catalog in PostgreSQL",
    "ray": "`attribution ingest --engine ray`, on many machines",
    "report": "reports as PDF, and signed ones",
    "sscd": "`bundled+sscd`, for disguised images",
    "synthesis": "`attribution demo` and `attribution generate`",
    "train": "`attribution train`",
}


def installed() -> Iterator[Check]:
    """The program itself, then each extra."""
    python = platform.python_version()
    named = f"attribution {service_version()}, Python {python}, {platform.system()}"
    yield Check("program", "ok", f"{named} {platform.machine()}")
    for extra, missing in sorted(_missing_of_extras().items()):
        use = USES.get(extra, extra)
        if not missing:
            yield Check(f"extra {extra}", "ok", f"installed: {use}")
        else:
            yield Check(
                f"extra {extra}", "note", f"not installed ({', '.join(missing)}): {use}",
                f"pip install 'attribution[{extra}]', if you want that",
            )  # fmt: skip


def _missing_of_extras() -> dict[str, list[str]]:
    """For each extra what it lacks; nothing where the program runs from a bare source tree."""
    try:
        wanted = metadata(_DISTRIBUTION).get_all("Requires-Dist") or []
    except PackageNotFoundError:
        return {}
    missing: dict[str, list[str]] = {}
    for requirement in wanted:
        extra, name = _EXTRA.search(requirement), _NAME.match(requirement)
        if extra is None or name is None or extra[1] in _OF_DEVELOPERS or name[0] == _DISTRIBUTION:
            continue
        lacking = missing.setdefault(extra[1], [])
        newer = _NEWER_PYTHON.search(requirement)
        if newer is not None and sys.version_info < (int(newer[1]), int(newer[2])):
            lacking.append(f"{name[0]}, which is for Python {newer[1]}.{newer[2]} and newer")
        elif not _is_there(name[0]):
            lacking.append(name[0])
    return missing


def _is_there(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
