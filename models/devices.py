"""Where an encoder computes: a device that torch does not see is refused by name."""

from __future__ import annotations

import torch


class UnusableDevice(ValueError):
    """There is no such device here; the message says what to give."""


def require_device(name: str, kinds: tuple[str, ...] = ("cpu", "cuda", "mps")) -> None:
    """Find out before anything is loaded whether torch can compute there.

    Args:
        name: such as `cpu`, `cuda` or `cuda:1`.
        kinds: that are allowed.

    Raises:
        UnusableDevice: of another kind, or not seen by torch here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None  # torch's own message names twenty kinds
    if device is None or device.type not in kinds:
        raise UnusableDevice(f"device {name!r} is none that can be used: give cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnusableDevice(f"no GPU for device {name} is seen by torch here: give cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UnusableDevice("torch cannot use device mps here: give cpu")
