"""Takes what was deleted out of a Milvus where nobody follows the catalog."""

from __future__ import annotations

from attribution.catalog import Catalog
from attribution.index.milvus.held import every_held
from attribution.index.milvus.server import Server


def forget_removed(catalog: Catalog, url: str) -> None:
    """Delete the rows of sources removed since Milvus last followed, of every encoder.

    Also of those that do not serve, and of those that the catalog has dropped. How far it has got
    stays as it is: whoever follows next removes them once more.

    Raises:
        IndexUnavailable: Milvus cannot be reached.
    """
    for held in every_held(Server(url), catalog.epoch):
        state = held.state()
        if state is not None:
            held.remove(catalog.removed_after(state.generation))
            held.compact()
