"""What the commands of these benches refuse, told in a line that says what to give instead."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from attribution.training.data.images import NoImages
from models.images.errors import ImageError


class Unusable(ValueError):
    """What a command was given cannot be used; the message says what can."""


def told(main: Callable[[], None]) -> None:
    """Run a command; what it was given and cannot use ends it with a line instead of a traceback.

    Raises:
        SystemExit: with that line, of `Unusable`, `NoImages`, `ImageError` and `OSError`.
    """
    try:
        main()
    except (Unusable, NoImages, ImageError, OSError) as error:
        raise SystemExit(str(error)) from None


def positive(text: str) -> float:
    """A finite number above 0, of an option: a penalty's weight, or a rate."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text} is no finite number above 0")
    return number


def count(text: str) -> int:
    """A whole number above 0, of an option."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return number
