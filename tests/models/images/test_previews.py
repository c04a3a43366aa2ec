"""Small pictures carry nothing but the picture."""

import io

from PIL import Image

from models.images.previews import make_preview


def test_a_preview_is_a_small_jpeg_without_metadata():
    image = Image.linear_gradient("L").resize((1500, 600)).convert("RGB")
    image.info["comment"] = b"secret"
    preview = Image.open(io.BytesIO(make_preview(image)))
    assert (preview.format, preview.mode, preview.size) == ("JPEG", "RGB", (512, 205))
    assert "comment" not in preview.info
    assert image.info["comment"] == b"secret"
    assert Image.open(io.BytesIO(make_preview(image, 256))).size == (256, 102)


def test_what_is_small_stays_as_large_as_it_is():
    image = Image.linear_gradient("L").resize((24, 20)).convert("RGB")
    assert Image.open(io.BytesIO(make_preview(image))).size == (24, 20)
