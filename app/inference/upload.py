"""One image as it was sent, in memory or on disk; decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from app.settings.limits import Limits
from models.images.errors import DecodingLimits, ImageTooLarge


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """One uploaded file, in memory while small and on disk otherwise."""

    filename: str | None
    size: int
    file: BinaryIO | None
    data: bytes = b""

    def read(self, *, max_bytes: int) -> bytes:
        """The file's bytes. Blocks: call it in a worker thread.

        Raises:
            ImageTooLarge: before anything is read.
        """
        if self.size > max_bytes:
            raise ImageTooLarge(
                f"the file has {self.size:,} bytes, more than the {max_bytes:,} allowed; "
                "compress or resize it"
            )
        if self.file is None:
            return self.data
        self.file.seek(0)
        return self.file.read()


def decoding_limits(settings: Limits) -> DecodingLimits:
    """What an image must keep to before it is decoded."""
    return DecodingLimits(settings.max_image_bytes, settings.max_image_pixels)
