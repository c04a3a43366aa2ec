"""The letters of a PDF: a bundled font, the operator's own for what it lacks, and a clear stand-in.

The bundled DejaVu Sans has the Latin, Greek, Cyrillic, Armenian, Hebrew and Arabic scripts among
others, but none of East and South Asia, whose fonts are many times its size. A character that no
font has is written as its code point, such as ⟨U+6771⟩: legible, searchable and never a blank.
"""

from __future__ import annotations

import unicodedata
from importlib.resources import as_file, files
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import TTFFont

FAMILY = "report"
_FALLBACK = "operator"
# Reordering marks of other people's text could make a figure beside it read otherwise.
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINERS = "\u200c\u200d"


class BadFont(ValueError):
    """The operator's font cannot be read; says what to do."""


class Lettering:
    """Adds the fonts to one PDF and knows which characters they have.

    Args:
        pdf: gets the fonts, and text shaping.
        extra: a TrueType or OpenType font for what the bundled one lacks.

    Raises:
        BadFont: `extra` is no such font.
    """

    def __init__(self, pdf: FPDF, extra: Path | None = None) -> None:
        with as_file(files("attribution.report") / "fonts" / "DejaVuSans.ttf") as path:
            pdf.add_font(FAMILY, fname=path)
        families = [FAMILY]
        if extra is not None:
            try:
                pdf.add_font(_FALLBACK, fname=extra)
            except Exception as error:
                # fontTools and fpdf2 raise many kinds on a broken font.
                raise BadFont(f"{extra} cannot be used as a font: {error}") from error
            pdf.set_fallback_fonts([_FALLBACK])
            families.append(_FALLBACK)
        pdf.set_text_shaping(use_shaping_engine=True)
        fonts = [font for family in families if isinstance(font := pdf.fonts[family], TTFFont)]
        self._held = frozenset().union(*(font.cmap for font in fonts))
        self._extra = extra

    def write(self, text: str) -> str:
        """The text as it can be printed: composed, and spelt out where no font has a letter."""
        return "".join(map(self._letter, unicodedata.normalize("NFC", text)))

    def _letter(self, letter: str) -> str:
        if letter in "\n\t":
            return " "
        invisible = unicodedata.category(letter) in _INVISIBLE and letter not in _JOINERS
        if not invisible and ord(letter) in self._held:
            return letter
        return f"⟨U+{ord(letter):04X}⟩"
