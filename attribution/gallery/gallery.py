"""`Gallery`: the sources of a data folder, to be added to and asked from Python.

What `attribution ingest`, `query` and `explain` do, in this process and beside a running service;
it reads no environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image

from attribution import asking
from attribution.answer import Attribution, Guarantee
from attribution.asking import Answered, Picture, PictureT, Unreadable
from attribution.attributor import DEFAULT_ALPHA, Attributor, Terms
from attribution.catalog import Catalog, Source, SourceFilter
from attribution.catalog.presence import require_place
from attribution.gallery.bringing import rows_of
from attribution.gallery.sheet import Asked, Explained, Sheet, gallery_html, picture_of
from attribution.ingestion import IngestReport, Progress, embedded_reader, ingest
from attribution.opening.gallery import OpenedGallery, gallery_of, keep
from attribution.opening.load import (
    Vision,
    active_place_of_folder,
    load_registered,
    load_vision,
)
from attribution.opening.place import EngineSetting, PlainPlace

_PAGE = 500


class Gallery:
    """The sources held in a data folder; see `Gallery.open`. For one thread at a time.

    A service, commands and other programs may use the folder meanwhile: what they add is found by
    the next question, and what they delete is in no answer.
    """

    def __init__(self, place: PlainPlace) -> None:
        self._place = place
        self._stack = ExitStack()
        self._catalog: Catalog | None = None
        self._vision: Vision | None = None
        self._open: OpenedGallery | None = None
        self._closed = False

    @classmethod
    def open(
        cls,
        data: str | Path = "var",
        *,
        encoder: str | None = None,
        weights: str | Path | None = None,
        database_url: str | None = None,
        index_url: str | None = None,
        engine: EngineSetting = "auto",
        device: str = "cpu",
        threads: int = 0,
    ) -> Gallery:
        """The gallery of a data folder, which the first `add` makes where there is none.

        Nothing is loaded before it is needed. `close` it, or use it in a `with` statement: then the
        next opening is quicker.

        Args:
            data: the folder.
            encoder: `bundled`, a folder made by `attribution train`, or a backbone; None for the
                one that the catalog has activated, else `bundled`.
            weights: file with the official weights of a backbone, instead of a download.
            database_url: SQLAlchemy URL of the catalog; None for an SQLite file in the folder.
            index_url: of a Milvus that holds the vectors; None for an index in this process.
            engine: what runs the encoder's network: `torch`, `onnx`, or `auto` for the faster.
            device: PyTorch device of the encoder.
            threads: that compute; 0 for as many as there are cores.
        """
        place = PlainPlace(
            data=Path(data).expanduser(),
            database_url=database_url,
            index_url=index_url,
            encoder=encoder or "bundled",
            encoder_weights=None if weights is None else Path(weights).expanduser(),
            names_encoder=encoder is not None or weights is not None,
            device=device,
            engine=engine,
            inference_threads=threads,
        )
        return cls(place)

    def add(
        self,
        images: Picture | Mapping[str, Any] | Iterable[Picture | Mapping[str, Any]],
        *,
        collection: str = "default",
        embedded: bool | None = None,
        update: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        **stated: Any,
    ) -> IngestReport:
        """Add pictures as sources; what is held already is not added again.

        Args:
            images: a path (an image, a folder, a JSON Lines manifest or a CSV), the bytes of a file
                or a PIL image; many of them; or mappings with `image` and, beside it, what is known
                of it: `title`, `creator`, `licence`, `uri`, `collection`, `metadata`.
            collection: of those that name none.
            embedded: read what pictures say of themselves; None for where the extra `metadata` is
                installed.
            update: take out sources whose file holds another picture now.
            on_progress: called with a `Progress` after each batch.
            **stated: known of all of them, such as `creator`.

        Returns:
            How many were added, and for each that was not, why (`skipped`).

        Raises:
            ManifestUnreadable: there is no folder or manifest where one was named.
            CatalogError: the catalog cannot be written.
            TypeError: something else than pictures.
        """
        catalog = self._catalog_to_write()
        return ingest(
            catalog,
            self._loaded().encoder,
            rows_of(images, collection=collection, stated=stated),
            load=lambda registered: load_registered(self._place, registered).encoder,
            embedded=embedded_reader(embedded),
            update=update,
            on_progress=on_progress,
        )

    def attribute(self, images: Picture | Iterable[Picture], **terms: Any) -> Sheet:
        """Ask which sources images came from: a list of `Attribution` in their order.

        In a notebook it shows each image beside its sources. For more images than should be in
        memory, and where some may be broken, see `stream`.

        Args:
            images: a path, the bytes of a file or a PIL image, or many of them.
            **terms: see `stream`.

        Raises:
            ImageError, OSError: one of them cannot be read; a note on the error says which.
        """
        asked: list[Asked] = []
        answers: list[Attribution] = []
        for picture, answered in self._ask(_many(images), **terms):
            if not isinstance(answered, Answered):
                answered.add_note(f"image {len(answers) + 1}: {_name(picture)}")
                raise answered
            answers.append(answered.attribution)
            asked.append(Asked(_name(picture), picture_of(answered.query.image)))
        return Sheet(answers, asked, self.preview)

    def stream(
        self,
        images: Iterable[PictureT],
        *,
        top_k: int = 5,
        alpha: float = DEFAULT_ALPHA,
        collections: Iterable[str] | None = None,
        guarantee: Guarantee = "average",
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool = False,
    ) -> Iterator[tuple[PictureT, Attribution | Unreadable]]:
        """Each image with its answer, or with what is wrong with it; memory holds a few of them.

        Args:
            images: paths, bytes of files or PIL images; consumed as it goes.
            top_k: sources to list.
            alpha: rate of false attributions to accept.
            collections: search only these.
            guarantee: what that rate is promised of.
            no_source: share of such images believed to come from no source held.
            recall: instead of `top_k`, how often the list is to hold a true source.
            any_way_up: images may be turned by quarters, and are looked at in all four ways.

        Raises:
            CatalogMissing: nothing was ever added to this folder.
            CollectionNotFound: a collection is not there.
            AlphaTooSmall: the background cannot bear out this alpha.
        """
        asked = self._ask(
            images, top_k=top_k, alpha=alpha, collections=collections, guarantee=guarantee,
            no_source=no_source, recall=recall, any_way_up=any_way_up,
        )  # fmt: skip
        for picture, answered in asked:
            yield picture, answered.attribution if isinstance(answered, Answered) else answered

    def explain(self, image: Picture, **terms: Any) -> Explained:
        """Where an image resembles its sources: regions and heat maps; shown in a notebook.

        Args:
            image: a path, the bytes of a file or a PIL image.
            **terms: see `stream`.
        """
        [(_, answered)] = self._ask([image], **terms)
        if not isinstance(answered, Answered):
            raise answered
        explanation, previewed = asking.explain_answer(
            self._attributor(), answered.query, answered.attribution
        )
        return Explained(answered.query.image, answered.attribution, explanation, previewed)

    def sources(
        self,
        *,
        collections: Iterable[str] | None = None,
        creator: str | None = None,
        licence: str | None = None,
        uri: str | None = None,
    ) -> Iterator[Source]:
        """The sources in order of addition, a page in memory at a time; filters match exactly."""
        where = SourceFilter(
            collections=_names(collections), creator=creator, licence=licence, uri=uri
        )
        cursor = None
        while True:
            page = self._catalog_to_read().sources(where, limit=_PAGE, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def preview(self, source_id: str) -> Image.Image:
        """A small picture of a source.

        Raises:
            SourceNotFound, PreviewMissing: there is none.
        """
        return picture_of(self._catalog_to_read().preview(source_id))

    def __iter__(self) -> Iterator[Source]:
        return self.sources()

    def __len__(self) -> int:
        return sum(each.sources for each in self._catalog_to_read().collections())

    def close(self) -> None:
        """Save what the next opening would have to work out again, and let go of the folder."""
        if self._open is not None and not self._closed:
            keep(self._place, self._open)
        self._closed = True
        self._catalog, self._open = None, None
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Gallery.open({str(self._place.data)!r})"

    def _repr_html_(self) -> str:
        return gallery_html(str(self._place.data), self._catalog_to_read().collections())

    def _ask(
        self, images: Iterable[PictureT], *, collections: Iterable[str] | None = None, **others: Any
    ) -> Iterator[tuple[PictureT, Answered | Unreadable]]:
        catalog = self._catalog_to_read()
        names = _names(collections)
        for name in sorted(names or ()):
            catalog.collection(name)
        terms = Terms(**{"top_k": 5, **others}, collections=names)
        return asking.ask(self._attributor, images, terms)

    def _attributor(self) -> Attributor:
        """What answers, once its index has seen every change of the catalog."""
        if self._open is None:
            vision = self._loaded()
            gallery = gallery_of(self._place, self._catalog_to_read(), vision)
            self._open = gallery
        self._open.follower.catch_up()
        self._open.calibration.ensure()
        return self._open.attributor

    def _loaded(self) -> Vision:
        self._refuse_closed()
        if self._vision is None:
            named = self._place.names_encoder
            self._place = self._place if named else active_place_of_folder(self._place)
            self._vision = load_vision(self._place)
        return self._vision

    def _catalog_to_read(self) -> Catalog:
        self._refuse_closed()
        if self._catalog is None:
            self._catalog = self._stack.enter_context(
                Catalog.existing(self._place.data, url=self._place.database_url)
            )
        return self._catalog

    def _catalog_to_write(self) -> Catalog:
        self._refuse_closed()
        if self._catalog is None:
            require_place(self._place.data)
            self._catalog = self._stack.enter_context(
                Catalog.open(self._place.data, url=self._place.database_url)
            )
        self._catalog.require_writable()
        return self._catalog

    def _refuse_closed(self) -> None:
        if self._closed:
            raise GalleryClosed(f"{self!r} is closed: open it again")


class GalleryClosed(ValueError):
    """It was closed, and asked again."""


def _many(images: Picture | Iterable[Picture]) -> Iterable[Picture]:
    return [images] if isinstance(images, str | Path | bytes | Image.Image) else images


def _names(collections: Iterable[str] | None) -> frozenset[str] | None:
    if collections is None:
        return None
    return frozenset([collections] if isinstance(collections, str) else collections) or None


def _name(picture: object) -> str:
    """What to call a picture: its path, or what kind of thing it is."""
    if isinstance(picture, str | Path):
        return str(picture)
    return getattr(picture, "filename", "") or f"a picture ({type(picture).__name__})"
