"""From uploaded bytes to an embedding, from pictures to patch maps: threads, then the batcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from app.inference.activities import Activities
from app.inference.batcher import Batcher, Encoded
from app.inference.forward_pass import InferenceError
from app.inference.searches import Asked, Found, Searches
from app.inference.timings import Timings
from app.inference.turns import Turns
from app.inference.upload import Upload, decoding_limits
from app.settings import Settings
from app.telemetry.watcher import Watcher
from attribution.credentials.reading import read_credentials
from attribution.credentials.statement import Credentials
from attribution.looks import Described, Way, looks_at
from models.encoder import Encoder
from models.heads.affine import Domain
from models.images.content import NO_CONTENT
from models.images.decoding import DecodedImage, decode


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """An image with a float32 row of each look at it, of all views of a query, and what that took.

    `ways` says how each look was taken; `credentials` what a query's own manifest says.
    """

    decoded: DecodedImage
    rows: tuple[NDArray[np.float32], ...]
    timings: Timings
    ways: tuple[Way, ...] = (Way(),)
    credentials: Credentials | None = None

    @property
    def embedding(self) -> NDArray[np.float32]:
        """Of the whole image."""
        return self.rows[0]

    @property
    def described(self) -> Described:
        """All looks at a query."""
        return Described(self.rows, NO_CONTENT not in self.decoded.notes, self.ways)


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """An image that is decoded and waits for its turn, which `encodings` tell of.

    One of each look at it.
    """

    decoded: DecodedImage
    encodings: tuple[Future[Encoded], ...]
    decode_seconds: float
    ways: tuple[Way, ...]
    credentials: Credentials | None = None

    def embedded(self) -> Embedded:
        """The image with its embedding; blocks. Raises InferenceError, CancelledError."""
        encoded = [encoding.result() for encoding in self.encodings]
        whole = encoded[0]
        timings = Timings(self.decode_seconds, whole.queue_seconds, whole.encode_seconds)
        rows = tuple(each.embedding for each in encoded)
        return Embedded(self.decoded, rows, timings, self.ways, self.credentials)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """An image that is decoded and not queued yet; `looks` are the pixels to encode."""

    decoded: DecodedImage
    looks: list[torch.Tensor]
    ways: tuple[Way, ...]
    seconds: float
    credentials: Credentials | None

    def begun(self, encodings: Iterable[Future[Encoded]]) -> Begun:
        """The same, queued."""
        return Begun(self.decoded, tuple(encodings), self.seconds, self.ways, self.credentials)


class Embedder:
    """Decodes few images at a time, which bounds the pixels in memory, and encodes in batches."""

    def __init__(
        self,
        encoder: Encoder,
        settings: Settings,
        watcher: Watcher,
        activities: Activities,
        turns: Turns | None = None,
    ) -> None:
        self.encoder = encoder
        self._settings = settings
        self._turns = turns or Turns()
        self.limits = decoding_limits(settings)
        self._activities = activities
        self._watcher = watcher
        self._decoders = ThreadPoolExecutor(
            settings.decoding_threads, thread_name_prefix="decoding"
        )
        self._batcher = Batcher(
            encoder,
            max_batch=settings.max_inference_batch,
            max_job_batch=settings.max_job_batch,
            watcher=watcher,
            activities=activities,
            turns=self._turns,
        )

    def searches(
        self,
        search: Callable[[Asked, NDArray[np.float32]], Sequence[Found]],
        at_hand: Callable[[Asked], bool],
    ) -> Searches[Asked, Found]:
        """Joined searches, which take turns with the forward passes here; see `Searches`."""
        return Searches(
            search,
            at_hand,
            turns=self._turns,
            activities=self._activities,
            watcher=self._watcher,
            most=self._settings.max_inference_batch,
            most_of_jobs=self._settings.max_job_batch,
        )

    @property
    def waiting(self) -> int:
        """Images that are decoded and wait for the encoder."""
        return self._batcher.waiting

    @property
    def alive(self) -> bool:
        """Whether an image that is sent now will be encoded."""
        return self._batcher.alive

    @property
    def failing(self) -> bool:
        """Whether the encoder fails on every image, not on some."""
        return self._batcher.failing

    async def embed(self, upload: Upload, *, domain: Domain, any_way_up: bool = False) -> Embedded:
        """Embed one image, looked at as `looks_at` says. Cancelling it drops what has not begun.

        Raises:
            ImageError: the bytes are not an image within the limits.
            InferenceError: the encoder failed on this image.
            BatcherClosedError: the service is stopping.
        """
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(
            self._decoders, partial(self._prepare, upload, domain, any_way_up=any_way_up)
        )
        futures = tuple(self._batcher.submit(pixels, domain) for pixels in prepared.looks)
        await self._all(futures)
        return prepared.begun(futures).embedded()

    async def embed_again(self, decoded: DecodedImage, *, domain: Domain) -> NDArray[np.float32]:
        """The row of an image that another encoder has decoded. Cancelling it drops what waits.

        Raises:
            InferenceError: the encoder failed on this image.
            BatcherClosedError: the service is stopping.
        """
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._decoders, self._pixels, decoded.image)
        encoded = await asyncio.wrap_future(self._batcher.submit(pixels, domain))
        return encoded.embedding

    def begin(self, upload: Upload, *, any_way_up: bool = False) -> Begun:
        """Decode one query of a job in this thread, and queue it behind interactive images.

        Raises:
            ImageError: the bytes are not an image within the limits.
            InferenceError: the encoder cannot prepare this image.
            BatcherClosedError: the service is stopping.
        """
        prepared = self._prepare(upload, "query", any_way_up=any_way_up)
        return prepared.begun(
            self._batcher.submit(pixels, "query", priority="job") for pixels in prepared.looks
        )

    async def patches(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """`(n, h, w, d)` patch vectors of a few small pictures; embeddings go first.

        Raises:
            InferenceError: the encoder failed on one of them.
            BatcherClosedError: the service is stopping.
        """
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(
            self._decoders, lambda: [self.encoder.preprocess_whole(image) for image in images]
        )
        encoded = await self._all([self._batcher.submit_patches(each) for each in pixels])
        return np.stack([each.embedding for each in encoded])

    async def variants(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """`(n, query_dimension)` rows of a query's variants; embeddings go first.

        Raises:
            InferenceError: the encoder failed on one of them.
            BatcherClosedError: the service is stopping.
        """
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(
            self._decoders, lambda: [self._pixels(image) for image in images]
        )
        encoded = await self._all([self._batcher.submit_variant(each) for each in pixels])
        return np.stack([each.embedding for each in encoded])

    def close(self) -> None:
        """Finish what was accepted, then end all threads."""
        self._decoders.shutdown(wait=True)
        self._batcher.close()

    @staticmethod
    async def _all(futures: Sequence[Future[Encoded]]) -> list[Encoded]:
        try:
            return await asyncio.gather(*map(asyncio.wrap_future, futures))
        finally:
            for future in futures:  # one failed or nobody waits any more: drop what has not begun
                future.cancel()

    def _prepare(self, upload: Upload, domain: Domain, *, any_way_up: bool) -> _Prepared:
        started = time.perf_counter()
        with self._activities.doing("decode"):
            data = upload.read(max_bytes=self.limits.max_bytes)
            decoded = decode(data, limits=self.limits)
            decoded, looks = looks_at(decoded, domain, any_way_up=any_way_up)
            asked = domain == "query" and self._settings.content_credentials
            credentials = read_credentials(data, decoded.format) if asked else None
        pixels = [self._pixels(image) for image in looks.pictures]
        seconds = time.perf_counter() - started
        self._watcher.stage("decode", seconds)
        return _Prepared(decoded, pixels, looks.ways, seconds, credentials)

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        with self._activities.doing("decode"):
            try:
                return self.encoder.preprocess(image)
            except Exception as error:
                raise InferenceError("the encoder could not prepare this image") from error
