"""Where a gallery is and by what it is opened; plain data, which reads no environment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, Self

EngineSetting = Literal["auto", "torch", "onnx"]


class Place(Protocol):
    """What opening a gallery needs to know. The settings of the service are one."""

    @property
    def data(self) -> Path:
        """Folder of the catalog, the previews and the snapshots."""

    @property
    def database_url(self) -> str | None:
        """SQLAlchemy URL of the catalog; None for an SQLite file in the data folder."""

    @property
    def index_url(self) -> str | None:
        """Milvus that holds the vectors; None for an index in this process."""

    @property
    def encoder(self) -> str:
        """Name or folder of the encoder, in a catalog that has activated none."""

    @property
    def encoder_weights(self) -> Path | None:
        """File with its weights; None for those bundled, cached or downloaded."""

    @property
    def names_encoder(self) -> bool:
        """Whether somebody has named it, rather than left it to the default."""

    @property
    def device(self) -> str:
        """PyTorch device that runs it."""

    @property
    def engine(self) -> EngineSetting:
        """What runs its network."""

    @property
    def inference_threads(self) -> int:
        """Threads that compute; 0 for as many as there are cores."""

    @property
    def snapshots(self) -> Path:
        """Folder of the index's snapshots."""

    @property
    def engines(self) -> Path:
        """Folder of networks exported for ONNX Runtime."""

    def with_encoder(self, name: str, weights: Path | None) -> Self:
        """The same with another encoder."""


@dataclass(frozen=True, slots=True)
class PlainPlace:
    """A place that says itself what it is; see `Place`."""

    data: Path
    database_url: str | None = field(default=None, repr=False)  # a password may be in it
    encoder: str = "bundled"
    encoder_weights: Path | None = None
    names_encoder: bool = False
    device: str = "cpu"
    engine: EngineSetting = "auto"
    inference_threads: int = 0
    index_url: str | None = field(default=None, repr=False)

    @property
    def snapshots(self) -> Path:
        """Folder of the index's snapshots."""
        return snapshots_in(self.data)

    @property
    def engines(self) -> Path:
        """Folder of networks exported for ONNX Runtime."""
        return engines_in(self.data)

    def with_encoder(self, name: str, weights: Path | None) -> Self:
        """The same with another encoder."""
        return replace(self, encoder=name, encoder_weights=weights)


def snapshots_in(data: Path) -> Path:
    """Where the snapshots of the index of a data folder are."""
    return data / "index"


def engines_in(data: Path) -> Path:
    """Where the networks that were exported for a data folder are."""
    return data / "engines"
