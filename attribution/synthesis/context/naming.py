"""Words that name a class, taken out of contexts: what names the class cannot be marginalised.

"Lufthansa hangar" tells of an aircraft's class without naming it; such words are not found here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from attribution.synthesis.context.captioner import NOTHING, Context, Described

# Of a class's name, words that say something of any picture; taken out only as part of the whole
# name. Without them "Red_winged_Blackbird" would take the red out of every background.
_WORDS = (
    "a an and at by in of on or the to with black white grey gray red orange yellow green blue "
    "purple pink brown dark light pale bright big large small little great long short tall wide "
    "narrow left right upper lower middle centre front back old new"
)
GENERAL = frozenset(_WORDS.split())
_ENDINGS = (
    ("ss", "ss(?:es)?"), ("ies", "(?:y|ies?)"), ("ves", "(?:fe?|ves?)"), ("es", "(?:es?|s)?"),
    ("s", "s?(?:es)?"), ("y", "(?:ys?|ies)"), ("fe", "(?:fes?|ves)"), ("f", "(?:fs?|ves)"),
)  # fmt: skip
"""Ends of words, and what may stand in their place where there are more or fewer."""


@dataclass(frozen=True, slots=True)
class Leakage:
    """What was found of classes in contexts.

    Attributes:
        captions: how many were looked at, two a picture.
        own: captions that named the class of their own picture.
        others: captions that named another class of the set, and not their own.
        words: what was taken out, and how often.
    """

    captions: int
    own: int
    others: int
    words: dict[str, int]

    def __str__(self) -> str:
        """One sentence for people."""
        told = f"{self.own} of {self.captions} captions named their class, {self.others} another"
        return f"{told}: {', '.join(sorted(self.words))}" if self.words else told


def without_classes(described: Sequence[Described]) -> tuple[tuple[Described, ...], Leakage]:
    """The same pictures with no class of the set named in any context.

    A class is named by its whole name, however its words are joined, and by each of its words
    of three letters or more that is not general, in the singular or plural. Where nothing is left
    of a caption it says "plain", or "as it is" for a pose.
    """
    patterns = {name: _pattern(name) for name in {row.class_name for row in described}}
    every = _any_of(patterns.values())
    words: Counter[str] = Counter()
    own = others = 0
    cleaned = []
    for row in described:
        named = re.compile(patterns[row.class_name], re.IGNORECASE)
        for caption in (row.context.background, row.context.pose):
            found = [match[0].lower() for match in every.finditer(caption)]
            words.update(found)
            own += bool(named.search(caption))
            others += bool(found) and not named.search(caption)
        cleaned.append(replace(row, context=_cleaned(every, row.context)))
    return tuple(cleaned), Leakage(2 * len(described), own, others, dict(words))


def contexts_without(classes: Iterable[str], contexts: Iterable[Context]) -> tuple[Context, ...]:
    """The same contexts, such as those of a free list, with none of these classes named."""
    every = _any_of({_pattern(name) for name in classes})
    return tuple(_cleaned(every, context) for context in contexts)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(patterns, key=len, reverse=True)), re.IGNORECASE)


def _cleaned(named: re.Pattern[str], context: Context) -> Context:
    return Context(
        _taken_out(named, context.background) or NOTHING.background,
        _taken_out(named, context.pose) or NOTHING.pose,
    )


def _pattern(name: str) -> str:
    """What names a class: longest first, so that a whole name is taken before its words."""
    parts = re.findall(r"[^\W_]+", name) or [name]
    whole = r"[\W_]*".join([*map(re.escape, parts[:-1]), _in_any_number(parts[-1])])
    telling = (part for part in parts if len(part) > 2 and part.lower() not in GENERAL)
    alone = map(_in_any_number, telling)
    return rf"\b(?:{'|'.join([whole, *alone])})\b"


def _in_any_number(word: str) -> str:
    """A word and its plural, or its singular, as English mostly forms them."""
    for ending, forms in _ENDINGS:
        if len(word) > len(ending) + 1 and word.lower().endswith(ending):
            return re.escape(word[: len(word) - len(ending)]) + forms
    return re.escape(word) + "(?:e?s)?"


def _taken_out(pattern: re.Pattern[str], caption: str) -> str:
    """What is left, without the gaps, commas and articles that held what is gone."""
    left, gone = pattern.subn("\0", caption)
    if not gone:
        return caption
    left = re.sub(r"\b(?:an?|the)\s+\0(?!\s*\w)", "", left, flags=re.IGNORECASE).replace("\0", "")
    kept: Iterable[str] = (" ".join(part.split()) for part in left.split(","))
    left = ", ".join(part for part in kept if re.search(r"\w", part))
    return left.rstrip(" .")  # a sentence that named nothing else
