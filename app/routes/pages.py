"""The pages for people: the web page, Swagger UI, and what each kind of problem means."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from app.addresses import present_prefix
from app.problems.problem import Problem
from app.problems.types import PROBLEM_TYPES
from app.requests.negotiation import NO_PARAMETERS
from app.routes.openapi import problems
from app.schemas.problem import ProblemTypeDocument

_WEB = FilePath(__file__).parents[1] / "web"
# Swagger UI's own files, packaged for Python: a machine without internet still has its /docs.
_SWAGGER_UI = FilePath(str(files("fastapi_offline"))) / "static"

# The files of a page belong together: after an update a browser must not mix old ones with new.
_REVALIDATE = {"Cache-Control": "no-cache"}
_ADDRESS = re.compile(r'(\s(?:href|src)=")/')

router = APIRouter()


class _Revalidated(StaticFiles):
    """Static files of which a browser asks each time whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_REVALIDATE)
        return response


def install(app: FastAPI) -> None:
    """Serve what the pages load."""
    app.mount("/docs/assets", _Revalidated(directory=_SWAGGER_UI), name="swagger-ui")
    app.mount("/web", _Revalidated(directory=_WEB), name="web")


@router.get("/", include_in_schema=False)
def index_page() -> Response:
    """The page that asks about one image."""
    return _page("index.html")


@router.get("/docs", include_in_schema=False)
def docs_page() -> Response:
    """Swagger UI over this API's description."""
    return _page("docs.html")


def _page(name: str) -> Response:
    """A page, which loads what belongs to it from where this service lies."""
    prefix = present_prefix()
    if not prefix:
        return FileResponse(_WEB / name, headers=_REVALIDATE)
    page = (_WEB / name).read_text(encoding="utf-8")
    return HTMLResponse(_ADDRESS.sub(rf"\1{prefix}/", page), headers=_REVALIDATE)


@router.get(
    "/problems/{slug}",
    tags=["problems"],
    dependencies=[NO_PARAMETERS],
    responses=problems("not-found"),
)
def get_problem_type(
    slug: Annotated[str, Path(description="Last part of a problem's `type`.")],
) -> ProblemTypeDocument:
    """Explain a kind of problem."""
    kind = PROBLEM_TYPES.get(slug)
    if kind is None:
        raise Problem("not-found", f"There is no kind of problem {slug!r}.")
    return ProblemTypeDocument(
        type=kind.uri, title=kind.title, status=kind.status, advice=kind.advice
    )
