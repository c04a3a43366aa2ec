"""Which engine runs an encoder here: the one that is set, else the faster one."""

from __future__ import annotations

import logging

from attribution.opening.place import Place
from models.encoder import Encoder
from models.engine import Choice, EngineName
from models.exported.choosing import by_faster
from models.exported.extra import installed
from models.exported.stored import EngineUnavailable, load_engine, manifest_path

logger = logging.getLogger(__name__)


def with_engine(place: Place, encoder: Encoder) -> Encoder:
    """The encoder by the engine that is set.

    With `auto` by the faster one here, and by torch, with a word in the log, where the other cannot
    be used.

    Raises:
        EngineUnavailable: `onnx` is named, and there is no sound export, or no way to run it.
        ImportError: `onnx` is named, and the extra is not installed.
    """
    if place.engine == "torch":
        return encoder.by(encoder.engine, Choice("torch", "set"))
    if place.engine == "onnx":
        return _by_onnx(place, encoder)
    exported = manifest_path(place.engines, encoder.model_id).exists()
    if not exported or encoder.device.type != "cpu":
        return encoder
    if not installed():
        logger.warning(
            "encoder %s is run by torch: its network is exported, but what runs it is not "
            "installed: pip install 'attribution[onnx]'", encoder.model_id,
        )  # fmt: skip
        return encoder
    try:
        chosen = by_faster(encoder, place.engines)
    except EngineUnavailable as error:
        logger.warning("encoder %s is run by torch: %s", encoder.model_id, error)
        return encoder
    logger.info("encoder %s is run by %s", encoder.model_id, in_words(chosen.choice))
    return chosen


def in_words(choice: Choice) -> str:
    """Which engine runs an encoder, and what was measured of each."""
    measured: dict[EngineName, list[str]] = {}
    for rate in choice.rates:
        together = {1: "alone", 8: "in eights"}.get(rate.batch, f"in batches of {rate.batch}")
        measured.setdefault(rate.engine, []).append(f"{rate.queries_per_second:.3g} {together}")
    engines = [f"{name} {', '.join(rates)}" for name, rates in measured.items()]
    return f"{choice.engine} (queries a second: {'; '.join(engines)})" if engines else choice.engine


def _by_onnx(place: Place, encoder: Encoder) -> Encoder:
    if encoder.device.type != "cpu":
        raise EngineUnavailable(
            f"engine onnx runs on the processor, not on {encoder.device}: set "
            "ATTRIBUTION_ENGINE to torch or ATTRIBUTION_DEVICE to cpu"
        )
    engine, _ = load_engine(encoder, place.engines)
    return encoder.by(engine, Choice("onnx", "set"))
