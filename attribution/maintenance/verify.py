"""Looks at catalog, previews and index snapshot, each by itself and against the others, and mends.

The catalog is the truth: what else can be made from it again is mended by making it again, and
what only a backup or the original image could give back is said to be beyond repair. May run
beside a service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from attribution.catalog import Catalog, CatalogError, CatalogReadOnly, CatalogUnusable
from attribution.catalog.presence import FILE, require
from attribution.folder_lock import FolderInUse, folder_lock
from attribution.index import (
    EmbeddingSpace,
    IndexUnavailable,
    holds_removed,
    remove_snapshots,
)
from attribution.index.milvus import find_drift, mend_drift
from attribution.ingestion.companions import ImageEncoder
from attribution.maintenance.backgrounds import FOLDER as BACKGROUNDS
from attribution.maintenance.backgrounds import unreadable
from attribution.maintenance.erasing import erase, still_there
from attribution.maintenance.findings import Finding, Findings, some
from attribution.maintenance.reembedding import fill_embeddings
from attribution.maintenance.restore import distrust_indexes
from attribution.maintenance.snapshot_check import snapshot_trouble
from attribution.maintenance.writable import unwritable
from attribution.maintenance.write_ahead_log import lost_commits

_RESTORE = "restore a backup (attribution restore BACKUP --force)"
_LET_WRITE = "let the user that runs the service write there, such as by chown -R; or free the disk"
_LOST_PREVIEW = "restore a backup, or delete the source and add it again"
_LOST_BACKGROUND = (
    "bring it back from a backup's folder background, or delete it and run `attribution calibrate` "
    "with the same images again"
)
_REBUILD_INDEXES = ("missing from index", "entries in index", "non-unique entry in index")


class Encodes(ImageEncoder, EmbeddingSpace, Protocol):
    """As much of an encoder as verifying needs; `models.Encoder` is one."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Something wrong, and what mends it: a call that raises where it cannot, or nothing."""

    kind: str
    detail: str
    mend: Callable[[], object] | None = None
    advice: str = ""


def verify(
    folder: Path,
    encoder_of: Callable[[Catalog], Encodes],
    *,
    snapshots: Path,
    url: str | None = None,
    index_url: str | None = None,
    repair: bool = False,
    restored: bool = False,
) -> Findings:
    """Check a data folder, and mend what can be mended where `repair` says so.

    Args:
        folder: the data folder.
        encoder_of: loads the encoder that serves, of which every source needs a row; the open
            catalog may say which that is. What it raises of CatalogError becomes a finding.
        snapshots: the folder of index snapshots.
        url: of the catalog's database, where it is no file of the folder.
        index_url: of the Milvus that holds the vectors, if one does.
        repair: write; without it nothing is changed but what opening a catalog changes.
        restored: other tools have brought the database back: no index made before is trusted.

    Raises:
        CatalogMissing: there is no catalog to look at.
        FolderInUse: `restored`, and a service runs on the folder.
        CatalogUnusable: it is out of this user's reach.
    """
    require(folder, url)
    # First of all: opening the catalog would drop what follows the damage, and its trace.
    findings = [_settled(trouble, repair=repair) for trouble in _write_ahead_log(folder)]
    try:
        if restored:
            distrust_indexes(folder, snapshots, url=url)
        with Catalog.existing(folder, url=url) as catalog:
            encoder = _loaded(encoder_of, catalog, findings)
            troubles = _Inspection(catalog, encoder, folder, snapshots, index_url).troubles()
            findings.extend(_settled(trouble, repair=repair) for trouble in troubles)
            held = sum(collection.sources for collection in catalog.collections())
            return Findings(held, catalog.generation(), tuple(findings))
    except CatalogReadOnly:
        raise  # nothing is wrong with it
    except CatalogUnusable as error:
        findings.append(Finding("catalog-unusable", str(error), "beyond-repair", _RESTORE))
        return Findings(0, 0, tuple(findings))


def _loaded(
    encoder_of: Callable[[Catalog], Encodes], catalog: Catalog, findings: list[Finding]
) -> Encodes | None:
    """The encoder; None where it cannot be had, which is a finding of its own."""
    try:
        return encoder_of(catalog)
    except CatalogUnusable:
        raise
    except CatalogError as error:
        findings.append(Finding("encoder-unavailable", str(error), "beyond-repair"))
        return None


def _settled(trouble: _Trouble, *, repair: bool) -> Finding:
    if trouble.mend is None:
        return Finding(trouble.kind, trouble.detail, "beyond-repair", trouble.advice)
    if not repair:
        return Finding(trouble.kind, trouble.detail, "mendable", trouble.advice)
    try:
        trouble.mend()
    except (CatalogError, FolderInUse, IndexUnavailable, OSError, _NotMended) as error:
        return Finding(trouble.kind, trouble.detail, "beyond-repair", str(error))
    return Finding(trouble.kind, trouble.detail, "mended", trouble.advice)


class _NotMended(Exception):
    """Mending was tried and has not helped."""


def _write_ahead_log(folder: Path) -> Iterator[_Trouble]:
    if lost := lost_commits(folder / f"{FILE}-wal"):
        yield _Trouble(
            "log-damaged",
            f"the write-ahead log is damaged before its end: up to {lost} writes are lost",
            advice=f"{_RESTORE} made after those writes, or repeat them",
        )


class _Inspection:
    """The checks of an open catalog."""

    def __init__(
        self,
        catalog: Catalog,
        encoder: Encodes | None,
        folder: Path,
        snapshots: Path,
        index_url: str | None,
    ) -> None:
        self._catalog, self._encoder = catalog, encoder
        self._folder, self._snapshots, self._index_url = folder, snapshots, index_url

    def troubles(self) -> Iterator[_Trouble]:
        """What is wrong, in an order in which what is mended helps the next check."""
        yield from self._writable()
        yield from self._database()
        yield from self._erasure()
        yield from self._previews()
        for wrong in unreadable(self._folder / BACKGROUNDS):
            yield _Trouble("background-damaged", wrong, advice=_LOST_BACKGROUND)
        if self._encoder is not None:
            yield from self._embeddings(self._encoder)
        yield from self._change_log()
        if self._encoder is not None and self._index_url is None:
            yield from self._snapshot(self._encoder)
        elif self._encoder is not None and self._index_url is not None:
            yield from self._milvus(self._encoder, self._index_url)

    def _database(self) -> Iterator[_Trouble]:
        found = self._catalog.checks.database()
        if not found:
            return
        only_indexes = all(any(sign in line for sign in _REBUILD_INDEXES) for line in found)
        yield _Trouble(
            "database-damaged",
            f"SQLite finds: {some(found)}",
            self._rebuild_database_indexes if only_indexes else None,
            _RESTORE,
        )

    def _rebuild_database_indexes(self) -> None:
        self._catalog.checks.rebuild_indexes()
        if self._catalog.checks.database():
            raise _NotMended(_RESTORE)

    def _writable(self) -> Iterator[_Trouble]:
        for place in unwritable(self._folder, snapshots=self._snapshots):
            yield _Trouble(
                "not-writable", f"{place.part}: {place.path}: {place.reason}", advice=_LET_WRITE
            )

    def _erasure(self) -> Iterator[_Trouble]:
        """What was deleted, and is on the disk nevertheless."""
        self._catalog.jobs.look_for_unerased()
        left = list(still_there(self._catalog))
        if self._catalog.compaction.due():
            left.append("the database is not compacted since the last takedown")
        if (wanted := self._catalog.compaction.wanted()) and holds_removed(self._snapshots, wanted):
            left.append("an index snapshot holds rows of what was taken down")
        if left:
            yield _Trouble(
                "erasure-pending", "; ".join(left), self._erase,
                "a service that runs on the folder tries again and again",
            )  # fmt: skip

    def _erase(self) -> None:
        erased = erase(self._catalog, self._folder, self._snapshots, index_url=self._index_url)
        if erased.remaining or not erased.index_clean:
            raise _NotMended("; ".join(erased.remaining) or "the running service will do it")

    def _previews(self) -> Iterator[_Trouble]:
        facts = self._catalog.checks.previews()
        for kind, ids in (("missing", facts.missing), ("damaged", facts.damaged)):
            if ids:
                yield _Trouble(
                    f"preview-{kind}",
                    f"{len(ids)} sources have a {kind} preview: {some(ids)}",
                    advice=_LOST_PREVIEW,
                )
        # Until an addition commits, its previews are unused: what is new is none of our business.
        unused = self._catalog.checks.unused_previews()
        if unused:
            yield _Trouble(
                "preview-unused",
                f"{len(unused)} preview files belong to no source",
                self._catalog.compaction.run,
            )

    def _embeddings(self, encoder: Encodes) -> Iterator[_Trouble]:
        model_id = encoder.model_id
        facts = self._catalog.checks.embeddings(model_id, encoder.dimension)
        if facts.damaged:
            yield _Trouble(
                "embedding-damaged",
                f"{len(facts.damaged)} sources have a row of encoder {model_id} that is not "
                f"{encoder.dimension} finite numbers: {some(facts.damaged)}",
                lambda: self._embed_again(encoder, facts.damaged),
            )
        if facts.missing:
            yield _Trouble(
                "embedding-missing",
                f"{len(facts.missing)} sources have no row of encoder {model_id}, so no query "
                f"finds them: {some(facts.missing)}",
                lambda: self._embed_again(encoder, ()),
            )

    def _embed_again(self, encoder: Encodes, damaged: tuple[str, ...]) -> None:
        self._catalog.encoders.drop_rows(encoder.model_id, damaged)
        report = fill_embeddings(self._catalog, encoder)
        if report.lacking:
            raise _NotMended(
                f"{len(report.lacking)} of them have no readable preview ({some(report.lacking)}): "
                + _LOST_PREVIEW
            )

    def _change_log(self) -> Iterator[_Trouble]:
        facts = self._catalog.checks.log()
        wrong = [
            *([f"{facts.gaps} numbers are missing"] if facts.gaps else []),
            *([f"{len(facts.not_added)} sources are not in it"] if facts.not_added else []),
            *([f"{len(facts.not_removed)} deletions are not"] if facts.not_removed else []),
        ]
        if wrong:
            yield _Trouble(
                "changes-incomplete",
                f"the log of changes does not agree with the sources: {', '.join(wrong)}",
                lambda: self._catalog.checks.mend_log(facts),
                "a running service must be restarted: its index follows another history",
            )

    def _milvus(self, encoder: Encodes, url: str) -> Iterator[_Trouble]:
        try:
            drift = find_drift(self._catalog, encoder, url)
        except IndexUnavailable as error:
            yield _Trouble("index-unavailable", str(error), advice="run this again once it answers")
            return
        if drift is None or not drift.found:
            return
        wrong = [
            f"{len(ids)} sources {words}: {some(ids.tolist())}"
            for ids, words in (
                (drift.lacking, "are not in it"),
                (drift.surplus, "are in it that the catalog does not have"),
                (drift.differing, "have other rows in it"),
            )
            if len(ids)
        ]
        yield _Trouble(
            "index-drift",
            f"Milvus does not agree with the catalog (vector ids): {'; '.join(wrong)}",
            partial(mend_drift, self._catalog, encoder, url, drift),
        )

    def _snapshot(self, encoder: Encodes) -> Iterator[_Trouble]:
        trouble = snapshot_trouble(self._catalog, encoder, self._snapshots)
        if trouble is not None:
            yield _Trouble(
                "snapshot-unusable",
                f"{trouble}; the next start would build the index from the catalog",
                self._remove_snapshots,
            )

    def _remove_snapshots(self) -> None:
        with folder_lock(self._folder, "a verification"):
            remove_snapshots(self._snapshots)
