"""What somebody writes in an afternoon: the same encoder, one flat index, no decision, no shares.

A yardstick for speed: whoever needs no decision can have this instead, so the service must not be
slower. Holds the rows of a data folder that `attribution ingest` has filled.

    python benchmarks/peers/afternoon.py --data var --port 8001
"""

from __future__ import annotations

import argparse
import importlib
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from fastapi.params import File
from PIL import Image

from attribution.catalog import Catalog
from attribution.index import open_index
from models import load_encoder

faiss: Any = importlib.import_module("faiss")


def afternoon(data: Path) -> FastAPI:
    """The app: one embedding of the upload, its nearest rows."""
    encoder = load_encoder("bundled")
    with Catalog.existing(data) as catalog:
        held = open_index(catalog, encoder, data / "index").contents()
    index = faiss.IndexFlatIP(encoder.dimension)
    index.add(held.vectors)
    app = FastAPI()

    @app.post("/v1/attributions")
    def attribute(file: Annotated[UploadFile, File()], top_k: int = 10) -> dict[str, Any]:
        image = Image.open(io.BytesIO(file.file.read())).convert("RGB")
        row = encoder.encode([image], domain="query")[:, : encoder.dimension]
        scores, places = index.search(np.ascontiguousarray(row), top_k)
        found = zip(places[0].tolist(), scores[0].tolist(), strict=True)
        return {
            "sources": [{"source_id": str(held.ids[at]), "score": score} for at, score in found]
        }

    return app


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that ingest has filled")
    parser.add_argument("--port", type=int, default=8001)
    options = parser.parse_args()
    uvicorn.run(afternoon(options.data), port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
