"""The letters of a PDF: a bundled font, the operator's own for what it lacks, and a clear stand-in.

The bundled DejaVu Sans has the Latin, Greek, Cyrillic, Armenian, Hebrew and Arabic scripts among
others, but none of East and South Asia, whose fonts are many times its size. A character that no
font has is written as its code point, such as ⟨U+6771⟩: legible, searchable and never a blank.
"""

from __future__ import annotations

import io
import re
import unicodedata
from importlib.resources import as_file, files
from pathlib import Path

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.fonts import TTFFont

FAMILY = "report"
_FALLBACK = "operator"
# Reordering marks of other people's text could make a figure beside it read otherwise.
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINERS = "\u200c\u200d"
# Scripts from Hebrew on join, stack or reorder their letters; marks go onto others. Working that
# out takes five times as long, so it is done where it shows.
_NEEDS_SHAPING = re.compile(
    "[\u0300-\u036f\u0590-\u1cff\u1dc0-\u1dff\u200c\u200d"
    "\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U0001ffff]"
)


class BadFont(ValueError):
    """The operator's font cannot be read; says what to do."""


class Lettering:
    """Adds the fonts to one PDF and knows which characters they have.

    Args:
        pdf: gets the fonts.
        extra: a TrueType or OpenType font for what the bundled one lacks.

    Raises:
        BadFont: `extra` is no such font.
    """

    def __init__(self, pdf: FPDF, extra: Path | None = None) -> None:
        if extra is not None:
            _require_font(extra)  # before any file is opened that would have to be closed
        with as_file(files("attribution.report") / "fonts" / "DejaVuSans.ttf") as path:
            pdf.add_font(FAMILY, fname=path)
        families = [FAMILY]
        if extra is not None:
            pdf.add_font(_FALLBACK, fname=extra)
            pdf.set_fallback_fonts([_FALLBACK])
            families.append(_FALLBACK)
        fonts = [font for family in families if isinstance(font := pdf.fonts[family], TTFFont)]
        self._held = frozenset().union(*(font.cmap for font in fonts))
        self._fonts = fonts
        self._pdf = pdf

    def set(self, text: str) -> str:
        """The text as it can be printed: composed, and spelt out where no font has a letter.

        The PDF is set to shape the text that is printed next where this one needs it.
        """
        text = "".join(map(self._letter, unicodedata.normalize("NFC", text)))
        self._pdf.set_text_shaping(use_shaping_engine=_NEEDS_SHAPING.search(text) is not None)
        return text

    def close(self) -> None:
        """Close the files of the fonts; the PDF must have been written."""
        for font in self._fonts:
            font.ttfont.close()

    def _letter(self, letter: str) -> str:
        if letter in "\n\t":
            return " "
        invisible = unicodedata.category(letter) in _INVISIBLE and letter not in _JOINERS
        if not invisible and ord(letter) in self._held:
            return letter
        return f"⟨U+{ord(letter):04X}⟩"


def _require_font(path: Path) -> None:
    """Read all that a font needs, from memory: a file that fails is then not left open."""
    try:
        with TTFont(io.BytesIO(path.read_bytes()), fontNumber=0) as font:
            outlines = next((table for table in ("CFF ", "CFF2") if table in font), "glyf")
            for table in ("cmap", "head", "hhea", "hmtx", outlines):
                font[table]
    except Exception as error:
        # fontTools raises almost anything on a broken file.
        raise BadFont(f"{path} cannot be used as a font: {error}") from error
