"""Networks in files of installed packages: found, checked and run where they lie, never copied."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.backbones.features import Backbone, Features
from models.digests import sha256_of

_WINDOWS = 5  # of a map, from edge to edge
_WINDOW_SHARE = 0.5  # of a side that a window covers


class PackageMissing(RuntimeError):
    """The package is not installed, or holds another file; says how to get it."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """An ONNX file of a package: `(n, H, W, 3)` uint8 images to `(n, d)` unit rows."""

    module: str
    file: str
    sha256: str
    how_to_install: str

    def how_to(self) -> str:
        """How to get it."""
        return f"It is in a package of its own: {self.how_to_install}."

    def path(self) -> Path:
        """Where it is, found to be the very file.

        Raises:
            PackageMissing: it is not there, or is another one.
        """
        found = find_spec(self.module)
        if found is None or found.origin is None:
            raise PackageMissing(f"{self.module} is not installed. {self.how_to()}")
        path = Path(found.origin).parent / self.file
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise PackageMissing(f"{path} cannot be read: {error}. {self.how_to()}") from error
        if digest != self.sha256:
            raise PackageMissing(
                f"{path} is not the file that is known here (sha256 {digest}): another version of "
                f"{self.module} is installed. {self.how_to()}"
            )
        return path


class PackagedNetwork(Backbone):
    """A network that ONNX Runtime runs from a package's file; it learns nothing.

    Takes images in [0, 1]. The digest of the file is a buffer, so that it stands for the weights
    in a `model_id` and in the folder of an encoder.

    Args:
        file: which.
        dimension: columns of its rows.

    Raises:
        PackageMissing: the file is not there.
        ImportError: ONNX Runtime is not.
    """

    sha256: Tensor

    def __init__(self, file: PackagedFile, dimension: int) -> None:
        from models.exported.session import open_session  # noqa: PLC0415 (of an extra)

        super().__init__()
        self._session = open_session(file.path())
        self.register_buffer(
            "sha256", torch.tensor(list(bytes.fromhex(file.sha256)), dtype=torch.uint8)
        )
        self.register_load_state_dict_pre_hook(_require_same)  # type: ignore[no-untyped-call]
        self.dimension = self.patch_dimension = dimension

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, d)` and a map of one place."""
        rows = self._rows(images)
        return Features(pooled=rows, patches=rows[:, :, None, None])

    def patch_map(self, images: Tensor) -> Tensor:
        """`(n, d, 5, 5)`: rows of windows half as wide as the image, for the file gives no map."""
        sides = [max(32, int(side * _WINDOW_SHARE)) for side in images.shape[-2:]]
        starts = [
            np.linspace(0, max(0, side - window), _WINDOWS).round().astype(int).tolist()
            for side, window in zip(images.shape[-2:], sides, strict=True)
        ]
        rows = [
            self._rows(images[..., top : top + sides[0], left : left + sides[1]])
            for top in starts[0]
            for left in starts[1]
        ]
        joined = torch.stack(rows, dim=2)
        return joined.reshape(*joined.shape[:2], _WINDOWS, _WINDOWS)

    def _rows(self, images: Tensor) -> Tensor:
        pixels = (images.cpu() * 255).round().clamp(0, 255).to(torch.uint8)
        name = self._session.get_inputs()[0].name
        [rows] = self._session.run(None, {name: pixels.permute(0, 2, 3, 1).contiguous().numpy()})
        return functional.normalize(torch.from_numpy(rows).to(images.device), dim=1)


def _require_same(
    module: PackagedNetwork, state: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Refuse the folder of an encoder that was made with another file."""
    stored = state.get(f"{prefix}sha256")
    if stored is not None and not torch.equal(stored, module.sha256):
        digest = bytes(stored.tolist()).hex()
        raise RuntimeError(f"it was made with another version of the network, sha256 {digest}")
