"""XMP: a packet of RDF in XML, of which the properties are read (ISO 16684-1).

The packet is a stranger's XML: no document type and no entity is let in. Knows no field of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import islice
from typing import Any

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_LISTS = frozenset({_RDF + "Alt", _RDF + "Seq", _RDF + "Bag"})
_DEEPEST = 8
_MOST = 2000

Properties = Mapping[str, list[str]]
"""Values of a property by its name, `{namespace}local`; within a structure by the names of both,
joined by a slash. Of a text in several languages, the default one comes first."""


def read_xmp(packet: bytes) -> Properties:
    """The properties of a packet; none of one that is no XML, or that declares entities.

    Raises:
        ImportError: the extra is not installed.
    """
    parser = import_module("defusedxml.ElementTree")
    try:
        root = parser.fromstring(packet.strip(b"\0 \r\n"), forbid_dtd=True)
    except (ValueError, LookupError, parser.ParseError):  # what is forbidden is a ValueError
        return {}
    properties: dict[str, list[str]] = {}
    described = (each for rdf in root.iter(_RDF + "RDF") for each in rdf)
    stated = (pair for each in described for pair in _stated(each, "", 0))
    for name, value in islice(stated, _MOST):
        properties.setdefault(name, []).append(value)
    return properties


def _stated(described: Any, within: str, depth: int) -> Iterator[tuple[str, str]]:
    """Names and values of what a description states, as attributes or as elements."""
    for name, value in _own(described):
        yield within + name, value
    for child in described:
        yield from _values(child, within + child.tag, depth + 1)


def _values(element: Any, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """The text of a property, the address it names, its items, or what its structure states."""
    resource, text = element.get(_RDF + "resource"), (element.text or "").strip()
    if resource is not None:
        yield name, resource
    elif text and not len(element):
        yield name, text
    if depth > _DEEPEST:
        return
    for key, value in _own(element):
        yield f"{name}/{key}", value
    for child in element:
        if child.tag in _LISTS:
            for item in sorted(child, key=lambda item: item.get(_XML + "lang") != "x-default"):
                yield from _values(item, name, depth + 1)
        elif child.tag == _RDF + "Description":
            yield from _stated(child, name + "/", depth + 1)
        else:  # of a structure that is written without a description of its own
            yield from _values(child, f"{name}/{child.tag}", depth + 1)


def _own(element: Any) -> Iterator[tuple[str, str]]:
    """The attributes that are properties, and none of RDF or XML itself."""
    for name, value in element.attrib.items():
        if name.startswith("{") and not name.startswith((_RDF, _XML)):
            yield name, value
