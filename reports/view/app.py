"""The web app: which address is which page, and how pages are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from harness import HarnessError
from harness.plugins import PluginManager

from . import formats, queries
from .comparing import Comparing
from .data import Data
from .formulas import formula, rich
from .pages import Pages
from .searching import Searching
from .security import Guard
from .texts import visible

_HERE: Final = Path(__file__).parent
_STATIC: Final = {
    "view.css": "text/css; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class Renderer:
    """Makes pages of templates. Everything put into one is escaped, control characters are made visible."""

    def __init__(self, results: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_fit,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "results": str(results),
            "rich": rich,
            "formula": formula,
            **{
                name: getattr(queries, name)
                for name in ("run_url", "problem_url", "chain_url", "raw_url", "compare_url")
            },
            "address": queries.address,
        }
        self._environment.filters |= formats.FILTERS

    def warm(self) -> None:
        """Make ready what the first page would have to wait for."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)
        formula("x^2")

    def __call__(self, name: str, /, status: int = 200, **values: Any) -> Response:
        page = self._environment.get_template(name).render(values)
        return HTMLResponse(page.encode("utf-8", "replace"), status)


def _fit(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return "" if value is None else value


def make_app(results: Path, plugins: PluginManager, *, host: str = "127.0.0.1") -> ASGIApp:
    """The app that shows the runs below `results`, to be served at `host`."""
    data = Data(results, plugins)
    render = Renderer(data.places.root)
    render.warm()
    data.warm()
    pages, comparing, searching = Pages(data, render), Comparing(data, render), Searching(data, render)
    run = "/run/{model}/{benchmark}/{fingerprint}"
    files = {name: (_HERE / "static" / name).read_bytes() for name in _STATIC}

    def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=_STATIC[name])

    def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = error.detail if isinstance(error, HTTPException) else str(error)
        if not isinstance(error, HTTPException | HarnessError):
            said = f"An error of the viewer itself: {type(error).__name__}. Please report it."
        return render("error.html", status, code=status, said=said)

    return Guard(
        Starlette(
            routes=[
                Route("/", pages.runs),
                Route("/live", pages.live),
                Route("/search", searching.page),
                Route("/compare", comparing.runs),
                Route("/compare/problem/{problem:path}", comparing.problem),
                Route(run, pages.run),
                Route(run + "/problem/{problem:path}", pages.problem),
                Route(run + "/chain/{problem:path}/{index}", pages.chain),
                Route(run + "/raw/{problem:path}/{index}", pages.raw),
                Route("/static/{name}", static),
            ],
            exception_handlers={HTTPException: failed, HarnessError: failed, Exception: failed},
        ),
        host,
    )
