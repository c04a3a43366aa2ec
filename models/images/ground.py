"""The ground that is put behind transparent pixels, and whether a picture shows anything at all."""

from __future__ import annotations

from PIL import Image, ImageStat

from models.images.notes import Note

ADVANTAGE = 2.0
"""How many times the contrast of white black must have: white was once the only ground, and stays
that of all that shows on it."""
_ENOUGH = 256  # pixels of the long side that contrasts are measured on
_ONE_COLOUR = 8  # levels that lossy coding may put between pixels of one colour

_ON_BLACK = Note(
    "ground-black",
    "Its transparent pixels are shown on black, against which it stands out; white would hide it.",
)
_ON_WHITE = Note("ground-white", "Its transparent pixels are shown on white.")


def on_ground(image: Image.Image) -> tuple[Image.Image, Note | None]:
    """An RGB copy without transparency, and on which ground; None where nothing shines through.

    White, unless the picture has `ADVANTAGE` times the contrast (standard deviation of luminance)
    on black. Colours hidden under full transparency have no say.
    """
    if image.mode not in {"RGBA", "LA"}:
        return image.convert("RGB"), None  # a copy, no longer bound to a file
    picture = image.convert("RGBA")
    if ImageStat.Stat(picture.getchannel("A")).extrema[0][0] == 255:
        return picture.convert("RGB"), None
    small = picture.copy()
    small.thumbnail((_ENOUGH, _ENOUGH), Image.Resampling.BOX)
    on_white, on_black = (_contrast(_laid(small, ground)) for ground in ("white", "black"))
    if on_black > ADVANTAGE * on_white:
        return _laid(picture, "black"), _ON_BLACK
    return _laid(picture, "white"), _ON_WHITE


def has_content(image: Image.Image) -> bool:
    """Whether an RGB picture is more than one colour."""
    return any(high - low > _ONE_COLOUR for low, high in ImageStat.Stat(image).extrema)


def _laid(picture: Image.Image, ground: str) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", picture.size, ground), picture).convert("RGB")


def _contrast(image: Image.Image) -> float:
    return float(ImageStat.Stat(image.convert("L")).stddev[0])
