"""What the owner of a source has said about training on it, as its metadata has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DATA_MINING = "data_mining"
"""Key of the metadata: the PLUS term, such as `DMI-PROHIBITED-GENAIMLTRAINING`."""
DO_NOT_TRAIN = "do_not_train"
"""Key of the metadata: true where training is forbidden."""
EMBEDDED = "embedded"
"""Key of the metadata under which stands what was read out of the file itself."""
_FORBIDDEN = "DMI-PROHIBITED"
_UNLESS = ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", _FORBIDDEN)
_TRAINING = ("AIMLTRAINING", "GENAIMLTRAINING")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class OptOut:
    """`do_not_train` is whether training is forbidden, `data_mining` the term that says so."""

    do_not_train: bool
    data_mining: str | None


def opt_out_of(metadata: Mapping[str, Any]) -> OptOut | None:
    """What metadata say; None where they say nothing about it.

    What the operator has stated comes before what was read out of the file.
    """
    embedded = metadata.get(EMBEDDED)
    for said in (metadata, embedded if isinstance(embedded, Mapping) else {}):
        term, forbidden = said.get(DATA_MINING), said.get(DO_NOT_TRAIN)
        term = term[:_LONGEST] if isinstance(term, str) and term.strip() else None
        if isinstance(forbidden, bool):
            return OptOut(forbidden, term)
        if term is not None:
            return OptOut(_forbids_training(term), term)
    return None


def _forbids_training(term: str) -> bool:
    """Whether a PLUS term, with or without its address, forbids training."""
    name = term.strip().rstrip("/").rpartition("/")[2].upper()
    return name in _UNLESS or (name.startswith(_FORBIDDEN) and name.endswith(_TRAINING))
