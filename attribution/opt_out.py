"""What the owner of a source has said about training on it, as its metadata has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DATA_MINING = "data_mining"
"""Key of the metadata: the PLUS term, such as `DMI-PROHIBITED-GENAIMLTRAINING`."""
DO_NOT_TRAIN = "do_not_train"
"""Key of the metadata: true where training is forbidden."""
EMBEDDED = "embedded"
"""Key of the metadata under which stands what was read out of the file itself."""
_PROHIBITED = ("DMI-PROHIBITED", "PROHIBITED")
"""How a term begins that forbids the training of generative models, some with exceptions that are
stated elsewhere (PLUS LDF, version 2.0.1); as an address ends, or as programs spell it out."""
_PERMITTED = ("DMI-ALLOWED", "ALLOWED", "DMI-UNSPECIFIED", "UNSPECIFIED")
_SAID = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""What a spreadsheet, which knows only texts, says of `do_not_train`."""
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class OptOut:
    """`do_not_train` is whether training is forbidden, `data_mining` the term that says so."""

    do_not_train: bool
    data_mining: str | None


def opt_out_of(metadata: Mapping[str, Any]) -> OptOut | None:
    """What metadata say; None where they say nothing about it.

    What the operator has stated comes before what was read out of the file. A term that is not of
    PLUS says nothing.
    """
    embedded = metadata.get(EMBEDDED)
    for said in (metadata, embedded if isinstance(embedded, Mapping) else {}):
        term, forbidden = said.get(DATA_MINING), _truth(said.get(DO_NOT_TRAIN))
        term = term[:_LONGEST] if isinstance(term, str) and term.strip() else None
        if forbidden is None and term is not None:
            forbidden = forbids_training(term)
        if forbidden is not None:
            return OptOut(forbidden, term)
    return None


def forbids_training(term: str) -> bool | None:
    """Whether a PLUS term, with or without its address, forbids training; None for no such term."""
    name = re.sub("^https?://.*/", "", term.strip()).upper()
    if name.startswith(_PROHIBITED):
        return True
    return False if name.startswith(_PERMITTED) else None


def _truth(said: object) -> bool | None:
    if isinstance(said, str):
        return _SAID.get(said.strip().lower())
    return said if isinstance(said, bool) else None
