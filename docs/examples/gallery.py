"""A gallery from Python; `python docs/examples/gallery.py PHOTOGRAPHS IMAGE [DATA]` runs it.

Adds a folder of photographs, asks which of them an image came from, looks where it resembles them,
and goes through many images in bounded memory. The test suite runs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageFilter

import attribution


def main(photographs: Path, image: Path, data: str = "data") -> None:
    """Tell what came of each step."""
    with attribution.Gallery.open(data) as gallery:
        # A folder, a manifest or a CSV; what is held already is not added again.
        report = gallery.add(photographs, licence="all rights reserved")
        print(
            f"{report.added} added, {report.unchanged} held before, {len(report.skipped)} skipped"
        )

        # Pictures that are in no file, each with what is known of it.
        with Image.open(image) as opened:
            blurred = opened.convert("RGB").filter(ImageFilter.GaussianBlur(1))
        gallery.add({"image": blurred, "title": "made here", "collection": "experiments"})
        print(f"{len(gallery)} sources are held")

        # One answer an image. In a notebook the list shows itself as a sheet of pictures.
        [answer] = gallery.attribute(image, top_k=3, collections=["default"])
        print(f"{image.name}: {answer.decision}, p = {answer.p_value}")
        for ranked in answer.sources:
            name = ranked.source.title or ranked.source.uri
            print(f"  {ranked.rank}. {name}: share {ranked.share:.1%}, {ranked.match or 'no copy'}")

        # Where the image resembles its sources, as numbers and as pictures.
        shown = gallery.explain(image, collections=["default"])
        shown.regions.save("regions.png")
        for region in shown.explanation.regions:
            print(f"  {region.fraction:.0%} of it resembles source {region.rank} most")

        # Any number of images: a few are in memory at a time, and a broken one ends nothing.
        for path, found in gallery.stream(sorted(photographs.iterdir()), top_k=1):
            said = found.decision if isinstance(found, attribution.Attribution) else found
            print(f"{path.name}: {said}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
