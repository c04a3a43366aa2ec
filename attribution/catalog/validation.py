"""What a field of the catalog may hold; anything else is an InvalidField that says why."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from attribution.catalog.errors import InvalidField
from attribution.catalog.records import NewSource

METADATA_BYTES = 16 * 1024
TEXT_LENGTHS = {"uri": 2048, "title": 512, "creator": 512, "licence": 512}

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMAT = re.compile(r"[a-z0-9]{1,16}")
_JPEG_START = b"\xff\xd8\xff"
_DEPTH = 32


def text(field: str, value: object, *, longest: int) -> str:
    """A string of at most `longest` characters that every database can hold."""
    if not isinstance(value, str):
        raise InvalidField(field, "must be a string")
    if len(value) > longest:
        raise InvalidField(field, f"has {len(value)} characters; at most {longest} are allowed")
    _refuse_unstorable(field, value)
    return value


def collection_name(value: object) -> str:
    """A name that is safe in paths and URLs."""
    wanted = "1 to 64 of a-z, 0-9, '.', '_' and '-', starting with a letter or a digit"
    return _matching("collection", value, _NAME, wanted)


def is_collection_name(value: object) -> bool:
    """Whether `value` could be a collection's name; nothing else can be one."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def is_sha256(value: object) -> bool:
    """Whether `value` is a digest as the catalog writes them; nothing else can be held."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def sha256(value: str) -> str:
    """A digest as the catalog writes them."""
    return _matching("sha256", value, _SHA256, "64 lower-case hex digits")


def model_id(value: object) -> str:
    """The name of an encoder."""
    if not value:
        raise InvalidField("model_id", "must not be empty")
    return text("model_id", value, longest=128)


def changeable(field: str, value: object) -> Any:
    """The storable form of a field that an update may set: None empties a text."""
    if field == "metadata":
        return json_object(field, value)
    if field not in TEXT_LENGTHS:
        allowed = ", ".join([*TEXT_LENGTHS, "metadata"])
        raise InvalidField(field, f"cannot be changed; only {allowed} can")
    return None if value is None else text(field, value, longest=TEXT_LENGTHS[field])


def json_object(field: str, value: object, *, most: int = METADATA_BYTES) -> dict[str, Any]:
    """A plain copy of a JSON object, at most so many bytes, equal to what a later read gives."""
    if not isinstance(value, Mapping):
        raise InvalidField(field, "must be a JSON object")
    plain = cast("dict[str, Any]", _plain(field, value, depth=0))
    size = len(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode())
    if size > most:
        raise InvalidField(field, f"takes {size} bytes as JSON; at most {most} fit")
    return plain


def embedding(value: object) -> npt.NDArray[np.float32]:
    """`(d,)` finite float32."""
    if not isinstance(value, np.ndarray) or value.dtype != np.float32 or value.ndim != 1:
        raise InvalidField("embedding", "must be a one-dimensional float32 array")
    if not value.size or not np.isfinite(value).all():
        raise InvalidField("embedding", "must hold at least one number, and only finite ones")
    return value


def new_source(source: NewSource) -> dict[str, Any]:
    """The columns of `source` that the caller decides, checked.

    Raises:
        InvalidField: names the first field that cannot be stored.
    """
    embedding(source.embedding)
    if not source.preview.startswith(_JPEG_START):
        raise InvalidField("preview", "must be the bytes of a JPEG file")
    return {
        "collection": collection_name(source.collection),
        "sha256": sha256(source.sha256),
        "format": _matching("format", source.format, _FORMAT, "1 to 16 of a-z and 0-9"),
        "width": _side("width", source.width),
        "height": _side("height", source.height),
        "metadata": json_object("metadata", source.metadata),
        **{field: changeable(field, getattr(source, field)) for field in TEXT_LENGTHS},
    }


def _matching(field: str, value: object, pattern: re.Pattern[str], wanted: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise InvalidField(field, f"must be {wanted}")


def _side(field: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31:
        return value
    raise InvalidField(field, "must be a positive number of pixels")


def _refuse_unstorable(field: str, value: str) -> None:
    if "\0" in value:
        raise InvalidField(field, "contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidField(field, "contains a lone surrogate, so it is not valid Unicode") from None


def _plain(field: str, value: object, *, depth: int) -> object:
    if depth > _DEPTH:
        raise InvalidField(field, f"is nested deeper than {_DEPTH} levels")
    if isinstance(value, Mapping):
        return {
            _key(field, key): _plain(field, item, depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(field, item, depth=depth + 1) for item in value]
    return _scalar(field, value)


def _key(field: str, key: object) -> str:
    if not isinstance(key, str):
        raise InvalidField(field, f"has the key {key!r}; keys must be strings")
    _refuse_unstorable(field, key)
    return key


def _scalar(field: str, value: object) -> object:
    match value:
        case None | bool():
            return value
        case str():
            _refuse_unstorable(field, value)
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
        case float() if math.isfinite(value):
            return value
        case int() | float():
            raise InvalidField(field, "contains a number that is not finite or exceeds 64 bits")
        case _:
            raise InvalidField(field, f"contains a {type(value).__name__}, which is not JSON")
