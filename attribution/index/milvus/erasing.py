"""Takes what was deleted out of a Milvus where no service follows the catalog."""

from __future__ import annotations

from attribution.catalog import Catalog
from attribution.index.milvus.held import Held
from attribution.index.milvus.server import Server


def forget_removed(catalog: Catalog, url: str) -> None:
    """Delete the rows of sources removed since Milvus last followed, of every encoder.

    How far it has got stays as it is: whoever follows next removes them once more.

    Raises:
        IndexUnavailable: Milvus cannot be reached.
    """
    server = Server(url)
    for model_id in catalog.models():
        held = Held(server, (), model_id, catalog.epoch)
        state = held.state()
        if state is not None:
            held.remove(catalog.removed_after(state.generation))
            held.compact()
