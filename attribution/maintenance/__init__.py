"""Keeping a data folder sound: verify, backup, restore, erasing what was deleted, one service."""

from __future__ import annotations

from attribution.folder_lock import FolderInUse, folder_lock
from attribution.maintenance.backup import BackupRefused, back_up
from attribution.maintenance.erasing import Erased, erase, still_there
from attribution.maintenance.reembedding import ReembedReport, fill_embeddings
from attribution.maintenance.restore import RestoreRefused, remove_leftovers, restore
from attribution.maintenance.verify import verify
from attribution.maintenance.writable import PARTS, unwritable

__all__ = [
    "PARTS",
    "BackupRefused",
    "Erased",
    "FolderInUse",
    "ReembedReport",
    "RestoreRefused",
    "back_up",
    "erase",
    "fill_embeddings",
    "folder_lock",
    "remove_leftovers",
    "restore",
    "still_there",
    "unwritable",
    "verify",
]
