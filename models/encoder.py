"""An encoder: pictures in, rows of vectors out. Knows no source and no index."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional

from models.backbones.features import Backbone
from models.card import Card
from models.engine import Choice, Engine, TorchEngine
from models.heads.affine import Domain, Head, query_constant
from models.images.preprocessing import Preprocessing
from models.parts import Part

_JSON = TypeAdapter(Preprocessing)
_TOGETHER = 16  # images of both views in one pass: few fill it better together


class Encoder:
    """Backbone, head and preprocessing, frozen together under one `model_id`.

    Rows of `encode` have unit length within each of `parts`, but for the last column of a part
    where the card asks for a hubness correction; with one part the row itself is a unit vector. A
    query may have several such rows, one a view, side by side: that of the image and, where the
    card has `mirrored_query`, that of its left-right mirror image. Safe to call from several
    threads, since nothing is changed by a call.

    Args:
        card: what the encoder declares of itself.
        backbone: the network.
        head: from descriptors to parts.
        reference: `(m, dimension)` rows of images outside any gallery, against which the scores
            of several parts are put on one scale; may be empty for a single part.
        device: where to compute.

    Raises:
        ValueError: reference rows of another width.
    """

    def __init__(
        self,
        card: Card,
        backbone: Backbone,
        head: Head,
        *,
        reference: NDArray[np.float32] | None = None,
        device: str = "cpu",
    ) -> None:
        self.card = card
        self.device = torch.device(device)
        self.backbone = backbone.to(self.device).to(memory_format=torch.channels_last).eval()
        self.head = head.to(self.device).eval()
        self._network = self.backbone.folded()
        self.engine: Engine = TorchEngine(self._network)
        self.choice = Choice()
        self.parts: tuple[Part, ...] = head.parts
        self.dimension: int = head.dimension
        self.patch_blocks: tuple[Part, ...] = self.backbone.blocks_of_patches
        self.views: int = 2 if card.mirrored_query else 1
        self.fusion = card.fusion
        self.reference: NDArray[np.float32] = (
            np.zeros((0, self.dimension), np.float32) if reference is None else reference
        )
        if self.reference.shape[1:] != (self.dimension,):
            raise ValueError(
                f"reference rows must be (m, {self.dimension}), embedded as sources, "
                f"not {self.reference.shape}"
            )
        self.reference_queries: NDArray[np.float32] = self.reference
        if head.hubness > 0:  # then a row of a source is not one of a query
            self.reference_queries = head.bank_as_queries().cpu().numpy()
        self._preprocess = card.preprocessing
        self._preprocess_whole = replace(self._preprocess, resize="squash")
        self.model_id: str = self._hash()

    @property
    def query_dimension(self) -> int:
        """Columns of a query's row: `dimension` for each view."""
        return self.views * self.dimension

    def by(self, engine: Engine, choice: Choice) -> Encoder:
        """The same encoder with another engine; rows are the same within 1e-4."""
        other = copy.copy(self)
        other.engine, other.choice = engine, choice
        return other

    def as_queries(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, dimension)` rows of sources as queries of one view would have them."""
        queries = rows.copy()
        if self.head.hubness > 0:
            for part in self.parts:
                queries[:, part.stop - 1] = query_constant(part.dimension - 1)
        return queries

    def preprocess(self, image: Image.Image) -> Tensor:
        """One RGB picture to the `(3, H, W)` float32 tensor that `embed` takes."""
        return self._preprocess(image if image.mode == "RGB" else image.convert("RGB"))

    def embed(self, batch: Tensor, *, domain: Domain = "source") -> NDArray[np.float32]:
        """Rows of preprocessed images.

        Args:
            batch: `(n, 3, H, W)`.
            domain: what the images are.

        Returns:
            float32, `(n, dimension)` of sources and `(n, query_dimension)` of queries.
        """
        views = self.views if domain == "query" else 1
        with torch.inference_mode():
            images = batch.to(self.device)
            rows = self.head(self._descriptors(images, views), domain)
            side_by_side = torch.cat(rows.chunk(views), 1)
        result: NDArray[np.float32] = side_by_side.float().cpu().numpy()
        return result

    def _descriptors(self, images: Tensor, views: int) -> Tensor:
        """`(views * n, d)`: of the images, then of their mirror images."""
        passes = [images] if views == 1 else [images, images.flip(-1)]
        # Many, one view after the other: then queries take no more memory than as many sources.
        if views * len(images) <= _TOGETHER:
            passes = [torch.cat(passes)]
        learnt = torch.cat([self.engine.learnt(each) for each in passes])
        return torch.cat([learnt, self._network.measured(images, views)], 1)

    def encode(
        self,
        images: Sequence[Image.Image],
        *,
        domain: Domain = "source",
        batch_size: int = 32,
    ) -> NDArray[np.float32]:
        """Pictures to float32 rows as `embed` gives them."""
        rows = [
            self.embed(self._stack(images[start : start + batch_size]), domain=domain)
            for start in range(0, len(images), batch_size)
        ]
        if not rows:
            columns = self.query_dimension if domain == "query" else self.dimension
            return np.zeros((0, columns), np.float32)
        return np.concatenate(rows)

    def patches(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Spatial map of each whole picture: `(n, h, w, dp)` float32 unit vectors."""
        if not images:
            return np.zeros((0, 0, 0, self.backbone.patch_dimension), np.float32)
        return self.embed_patches(torch.stack([self.preprocess_whole(image) for image in images]))

    def preprocess_whole(self, image: Image.Image) -> Tensor:
        """As `preprocess`, but nothing is cut off: a map must cover the whole picture."""
        return self._preprocess_whole(image if image.mode == "RGB" else image.convert("RGB"))

    def embed_patches(self, batch: Tensor) -> NDArray[np.float32]:
        """`(n, 3, H, W)` preprocessed images to `(n, h, w, dp)` float32 unit vectors.

        `patch_blocks` names the slices of a vector that a comparison puts on one scale.
        """
        with torch.inference_mode():
            images = batch.to(self.device, memory_format=torch.channels_last)
            maps = functional.normalize(self._network.patch_map(images), dim=1)
        result: NDArray[np.float32] = maps.permute(0, 2, 3, 1).float().cpu().numpy()
        return result

    def _stack(self, images: Sequence[Image.Image]) -> Tensor:
        return torch.stack([self.preprocess(image) for image in images])

    def _hash(self) -> str:
        """Digest of all that decides a row or how rows compare, so that no two encoders mix."""
        digest = hashlib.sha256()
        card = self.card
        for piece in (_JSON.dump_json(card.preprocessing).decode(), card.fusion, card.numeric):
            digest.update(piece.encode())
        if card.mirrored_query:  # without it, the id is what it was before there was a choice
            digest.update(b"mirrored_query")
        digest.update(str([(part.name, part.start, part.stop) for part in self.parts]).encode())
        for module in (self.backbone, self.head):
            _hash_tensors(digest, module)
        digest.update(np.ascontiguousarray(self.reference).tobytes())
        return digest.hexdigest()[:16]


def weights_digest(module: nn.Module) -> str:
    """Short digest of a module's weights, to say which a run started from."""
    return weights_sha256(module)[:16]


def weights_sha256(module: nn.Module) -> str:
    """Hex digest of the names, kinds and values of a module's weights."""
    digest = hashlib.sha256()
    _hash_tensors(digest, module)
    return digest.hexdigest()


def _hash_tensors(digest: hashlib._Hash, module: nn.Module) -> None:
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
