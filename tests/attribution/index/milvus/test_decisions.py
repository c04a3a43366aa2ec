"""What is decided does not depend on where the vectors are: by all parts, within any filter."""

import numpy as np

from attribution.attributor import Attributor, Terms
from attribution.calibration import Calibration
from attribution.index import Follower, open_index
from attribution.index.milvus import open_milvus
from attribution.retrieval.fusion import Fusion
from models.background import Background
from tests.support import milvus
from tests.support.spaces import SmallSpace, rows_of


class Answering:
    """An index with a null that follows it."""

    def __init__(self, catalog, space, background, index):
        fusion = Fusion(space.parts, space.reference, space.views, space.fusion)
        self.calibration = Calibration(index, fusion, background, catalog)
        self.calibration.build()
        self.follower = Follower(catalog, index, space.model_id)
        self.follower.on_change(self.calibration.apply)
        self.attributor = Attributor(space, catalog, index, self.calibration)

    def answers(self, queries):
        self.follower.catch_up()
        return [
            self.attributor.attribute(queries, Terms(collections=collections, alpha=0.05))
            for collections in (None, frozenset({"other"}), frozenset({"default", "other"}))
        ]


def test_decisions_are_those_of_the_index_in_memory(catalog, new_source, tmp_path):
    milvus.require()
    catalog.put_collection("other")
    space = SmallSpace(views=2, fusion="harmonic-mean-p")
    background = Background(
        space.model_id, space.query_rows(5, 40), np.zeros((40, 16, 16), np.uint8)
    )
    rows = rows_of(1, 60, space.parts)
    rows[40:44] = rows[3]  # a picture that is held five times
    new = [new_source(n, row, "other" if n % 2 else "default") for n, row in enumerate(rows)]
    sources = [item.source for item in catalog.add(space.model_id, new[:50]).items]
    memory, remote = (
        Answering(catalog, space, background, index)
        for index in (
            open_index(catalog, space, tmp_path / "snapshots"),
            open_milvus(catalog, space, str(tmp_path / "vectors.db")),
        )
    )
    near = rows[[3, 8, 55]] + 0.15 * rows_of(2, 3, space.parts)
    queries = np.concatenate([np.tile(near, (1, 2)), space.query_rows(77, 3)]).astype(np.float32)
    first = memory.answers(queries)
    assert remote.answers(queries) == first
    decided = {answer.decision for answers in first for answer in answers}
    assert decided == {"attributed", "no_source_found"}
    catalog.add(space.model_id, new[50:])
    catalog.delete(source_ids=[sources[8].source_id, sources[20].source_id])
    then = memory.answers(queries)
    assert remote.answers(queries) == then
    assert then != first
    null, other = (each.calibration.current().null for each in (memory, remote))
    for one, two in zip(null.strata, other.strata, strict=True):
        np.testing.assert_array_equal(one.statistics, two.statistics)
