"""How the service writes its log: text for people or JSON for machines, on standard error.

A line never holds anything of an image, nor the name of an uploaded file. Libraries are kept to
warnings, the server's own start and stop apart: their lesser messages show what they read.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from app.settings import LogFormat

_OWN = ("app", "attribution", "models")
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FIELDS = ("request_id", "method", "route", "status", "duration_ms")
"""What a call may add to its line by `extra`; nothing else is written."""


def configure(log_format: LogFormat, level: str) -> None:
    """Send every logger's lines to standard error in this format, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(_TEXT))
    wanted = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(wanted, logging.WARNING), handlers=[handler], force=True)
    for name in _OWN:
        logging.getLogger(name).setLevel(wanted)
    logging.getLogger("uvicorn").setLevel(max(wanted, logging.INFO))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fields of requests."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its line break."""
        moment = datetime.fromtimestamp(record.created, UTC)
        document: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _FIELDS:
            if (value := getattr(record, name, None)) is not None:
                document[name] = value
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)
