"""Which share model serves: the newest that was fitted on this catalog, else the encoder's own."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime

from attribution.answer import CalibrationState
from attribution.calibration.shares.model import KIND, OLDER, BadParameters, ShareModel
from attribution.calibration.shares.recall import NOTHING_MEASURED, Recall
from attribution.catalog import Catalog, CatalogError
from models.card import Card

logger = logging.getLogger(__name__)
RECALL = "recall"
"""Among the figures of a fit that are kept."""
_INTERVAL = 2.0  # seconds for which a look into the catalog is good


@dataclass(frozen=True, slots=True)
class Shares:
    """How credit divides, and what is promised of lists.

    Attributes:
        model: divides.
        fitted_at: since when it has been fitted on this catalog; None: never.
        recall: how long lists must be, measured on the queries of the fit.
    """

    model: ShareModel
    fitted_at: datetime | None = None
    recall: Recall = NOTHING_MEASURED

    def believing(self, no_source: float | None) -> Shares:
        """The same where so many queries are believed to have no source held; None: as it is.

        Raises:
            BadParameters: not between 0 and 1.
        """
        if no_source is None:
            return self
        return replace(self, model=replace(self.model, no_source=no_source))

    def name(self, state: CalibrationState) -> str | None:
        """The id of a null and of this model together; None where there is no null."""
        return None if state.id is None else f"{state.id}-{self.model.id}"


class NewestShares:
    """The share model to answer with; it takes up what `attribution calibrate` stores meanwhile.

    Args:
        catalog: where fitted ones are kept.
        model_id: of the encoder.
        default: for as long as none is.
        interval: seconds for which a look into the catalog is good.
    """

    def __init__(
        self,
        catalog: Catalog,
        model_id: str,
        default: Shares | None = None,
        *,
        interval: float = _INTERVAL,
    ) -> None:
        self._catalog, self._model_id, self._interval = catalog, model_id, interval
        self._current = default or Shares(ShareModel())
        self._number = 0  # of the calibration in use
        self._older_told = False
        self._looking = threading.Lock()
        self._look_again = -float("inf")

    def current(self) -> Shares:
        """The model to use now; one query in `interval` seconds looks for a newer one."""
        if time.monotonic() >= self._look_again and self._looking.acquire(blocking=False):
            try:
                self._look()
                self._look_again = time.monotonic() + self._interval
            finally:
                self._looking.release()
        return self._current

    def _look(self) -> None:
        """Read what is newer than the one in use; what cannot be used is said once and left."""
        try:
            newer = self._catalog.calibrations.newest(self._model_id, KIND, after=self._number)
            if newer is None and not self._number:
                self._tell_of_older()
        except CatalogError as error:
            logger.warning("could not look for a newer calibration of shares: %s", error)
            return
        if newer is None:
            return
        self._number = newer.calibration_id
        try:
            recall = Recall.of(newer.figures.get(RECALL))
            self._current = Shares(ShareModel.of(newer.parameters), newer.created_at, recall)
        except (BadParameters, AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning("calibration %d cannot be used: %s", newer.calibration_id, error)

    def _tell_of_older(self) -> None:
        """Say once that a fit by an earlier version does not serve."""
        kept = self._catalog.calibrations
        if not self._older_told and any(kept.newest(self._model_id, kind) for kind in OLDER):
            logger.warning(
                "shares were calibrated here by an earlier version, whose fit cannot be used: "
                "those of the encoder serve until `attribution calibrate` is run again"
            )
        self._older_told = True


def default_shares(card: Card) -> Shares:
    """Those of an encoder's card, or general constants where it has none of ours."""
    declared = card.shares
    if declared is None or declared.kind != KIND:
        return Shares(ShareModel())
    try:
        model = ShareModel.of(declared.parameters)
        depths = {"depths": declared.recall, "kinds": declared.fitted_on}
        return Shares(model, recall=Recall.of(depths))
    except (BadParameters, ValueError) as error:
        logger.warning("the shares on the card of %s cannot be used: %s", card.name, error)
        return Shares(ShareModel())
