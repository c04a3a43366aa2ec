"""Real photographs that lie inside the wheels of scikit-image and scikit-learn: nothing is fetched.

They let the demo and the tests start from real pictures on a machine without a network. Files are
read where the packages lie, never through their loaders, some of which would download.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

_CC0 = "CC0-1.0"
_PUBLIC_DOMAIN = "public domain"
_UNRESTRICTED = "no known copyright restrictions"
_UNSTATED = "not stated by scikit-image"


@dataclass(frozen=True, slots=True)
class Photograph:
    """One real photograph.

    Attributes:
        name: short and unique among the bundled ones.
        image: RGB, in full.
        origin: the package that ships it, "scikit-image" or "scikit-learn".
        licence: as that package states it.
        credit: who made it, as far as the package says.
    """

    name: str
    image: Image.Image
    origin: str
    licence: str
    credit: str


@dataclass(frozen=True, slots=True)
class _Package:
    name: str
    module: str
    folder: str


_SCIKIT_IMAGE = _Package("scikit-image", "skimage", "data")
_SCIKIT_LEARN = _Package("scikit-learn", "sklearn", "datasets/images")

# Whole files only, as shipped since scikit-image 0.25 and scikit-learn 1.6. Left out: drawings and
# test patterns, the 25-pixel faces, and the right half of the motorcycle's stereo pair, which is
# the left one seen again. "cell" is a phase image computed from a hologram; the others were taken
# with a camera, a telescope or a microscope.
_FILES: tuple[tuple[_Package, str, str, str, str], ...] = (
    (_SCIKIT_IMAGE, "astronaut", "astronaut.png", _PUBLIC_DOMAIN, "NASA"),
    (_SCIKIT_IMAGE, "brick", "brick.png", _CC0, "CC0Textures, Bricks25"),
    (_SCIKIT_IMAGE, "camera", "camera.png", _CC0, "Lav Varshney"),
    (_SCIKIT_IMAGE, "cell", "cell.png", _CC0, "Paul Müller et al., Optics Express 2018"),
    (_SCIKIT_IMAGE, "chelsea", "chelsea.png", _CC0, "Stefan van der Walt"),
    (_SCIKIT_IMAGE, "clock", "clock_motion.png", _PUBLIC_DOMAIN, "Stefan van der Walt"),
    (_SCIKIT_IMAGE, "coffee", "coffee.png", _CC0, "Rachel Michetti"),
    (_SCIKIT_IMAGE, "coins", "coins.png", _UNRESTRICTED, "Brooklyn Museum"),
    (_SCIKIT_IMAGE, "grass", "grass.png", _CC0, "linolafett, DeviantArt"),
    (_SCIKIT_IMAGE, "gravel", "gravel.png", _CC0, "CC0Textures, Gravel04"),
    (_SCIKIT_IMAGE, "hubble", "hubble_deep_field.jpg", _PUBLIC_DOMAIN, "NASA"),
    (_SCIKIT_IMAGE, "tissue", "ihc.png", _UNRESTRICTED, "Center for Microscopy (CMMI)"),
    (_SCIKIT_IMAGE, "microaneurysms", "microaneurysms.png", _CC0, "Andreas Maier"),
    (_SCIKIT_IMAGE, "moon", "moon.png", _UNSTATED, ""),
    (_SCIKIT_IMAGE, "motorcycle", "motorcycle_left.png", _UNSTATED, "Middlebury College"),
    (_SCIKIT_IMAGE, "page", "page.png", _UNSTATED, ""),
    (_SCIKIT_IMAGE, "retina", "retina.jpg", _CC0, "Mikael Häggström, Wikimedia"),
    (_SCIKIT_IMAGE, "rocket", "rocket.jpg", _PUBLIC_DOMAIN, "SpaceX"),
    (_SCIKIT_IMAGE, "text", "text.png", _PUBLIC_DOMAIN, "Wikipedia, Corner.png"),
    (_SCIKIT_LEARN, "china", "china.jpg", "CC-BY-2.0", "danielbuechele, Flickr"),
    (_SCIKIT_LEARN, "flower", "flower.jpg", "CC-BY-2.0", "vultilion, Flickr"),
)


def bundled_photographs() -> tuple[Photograph, ...]:
    """All 21 photographs, in full size, always in the same order.

    Raises:
        ModuleNotFoundError: scikit-image or scikit-learn is not installed.
        FileNotFoundError: the installed version no longer ships one of the files.
    """
    folders = {package.name: _folder(package) for package in (_SCIKIT_IMAGE, _SCIKIT_LEARN)}
    return tuple(
        Photograph(name, _read(folders[package.name] / file), package.name, licence, credit)
        for package, name, file, licence, credit in _FILES
    )


def _folder(package: _Package) -> Path:
    # The module is looked up, not imported: the pictures need none of its code.
    found = find_spec(package.module)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            f"{package.name} is not installed, and its photographs are inside it; "
            'run: pip install "attribution[synthesis]"',
            name=package.module,
        )
    return Path(found.origin).parent / package.folder


def _read(path: Path) -> Image.Image:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing from the installed package; "
            'run: pip install --force-reinstall "attribution[synthesis]"'
        )
    with Image.open(path) as image:
        return image.convert("RGB")
