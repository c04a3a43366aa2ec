"""Entity tags and the conditions on them, as RFC 9110 has them; knows nothing of what is tagged."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Sections 8.8.3 and 5.6.1.2. Bytes beyond ASCII reach a header value as Latin-1.
_TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")


@dataclass(frozen=True, slots=True)
class EntityTag:
    """Names one state of a resource, byte for byte unless it is weak."""

    opaque: str
    weak: bool = False

    def __str__(self) -> str:
        return f'{"W/" if self.weak else ""}"{self.opaque}"'


def if_match(header: str, current: EntityTag) -> bool:
    """Whether If-Match lets a request go on: `*`, or a tag that compares strongly equal.

    Section 13.1.1: neither of the two tags may be weak.
    """
    return header.strip(" \t") == "*" or (not current.weak and current in tags_of(header))


def if_none_match(header: str, current: EntityTag) -> bool:
    """Whether If-None-Match lets a request go on: neither `*` nor a tag that compares weakly equal.

    Section 13.1.2: it does not matter whether the tags are weak.
    """
    named = {tag.opaque for tag in tags_of(header)}
    return header.strip(" \t") != "*" and current.opaque not in named


def tags_of(header: str) -> tuple[EntityTag, ...]:
    """The tags of a list; none where any of it is no tag, for half of a list means nothing."""
    if not _TAGS.fullmatch(header):
        return ()
    return tuple(EntityTag(opaque, weak=bool(weak)) for weak, opaque in re.findall(_TAG, header))
