"""Weights files of timm's hub: the cached copy, or a download with a progress bar.

Knows nothing of networks; asks only for safetensors, never for a pickle. The hub's client retries
an unreachable host for minutes, so one quick request must first show that somebody answers.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import httpx
from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.errors import LocalEntryNotFoundError

from models.published.specs import HUB_FILE
from models.published.untrusted import first_line

_PROBE_SECONDS: Final = 4.0


class HubUnavailable(RuntimeError):
    """There is no cached copy and the hub does not give one; the message says why."""


def fetch(timm_name: str) -> Path:
    """Path of the weights of `timm_name`, downloaded on first use.

    Args:
        timm_name: architecture and tag, for example `vit_small_patch16_224.dino`.

    Raises:
        HubUnavailable: no cached copy, and within a few seconds no answer from the hub.
    """
    repository = f"timm/{timm_name}"
    try:
        return Path(hf_hub_download(repository, HUB_FILE, local_files_only=True))
    except LocalEntryNotFoundError:
        _require_answer(hf_hub_url(repository, HUB_FILE))
    try:
        return Path(hf_hub_download(repository, HUB_FILE))
    except (OSError, httpx.HTTPError) as error:
        raise HubUnavailable(f"the download failed ({first_line(error)})") from error


def _require_answer(url: str) -> None:
    """Return if the host answers anything at all, else raise in `_PROBE_SECONDS`."""
    if constants.HF_HUB_OFFLINE:
        raise HubUnavailable("HF_HUB_OFFLINE forbids downloads")
    outcome: list[str] = []

    def probe() -> None:
        try:
            httpx.head(url, timeout=_PROBE_SECONDS)
        except httpx.HTTPError as error:
            outcome.append(first_line(error))
        else:
            outcome.append("")

    # name resolution knows no timeout, so a thread is left behind if it hangs
    thread = threading.Thread(target=probe, name="hub-probe", daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    reason = outcome[0] if outcome else f"no answer in {_PROBE_SECONDS:g} s"
    if reason:
        raise HubUnavailable(f"timm's hub cannot be reached ({reason})")
