"""Fill the templates: for the server, and for files that need none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from fumikura.core.errors import UsageError
from fumikura.web.words import SCRIPT_WORDS, translator

ASSETS = Path(__file__).parent / "assets"
#: The npm package of this name is put there when fumikura is built (hatch_build.py).
VIEWER = ASSETS / "openseadragon.min.js"
_TEMPLATES = Path(__file__).parent / "templates"


def check_viewer() -> None:
    """Make sure that the viewer of pages is there.

    Raises:
        UsageError: it is not, as fumikura was built where there was no npm.
    """
    if not VIEWER.exists():
        raise UsageError(
            f"{VIEWER} is missing; install npm (Debian: apt-get install npm), and then fumikura anew"
            " (in a checkout: pip install -e .)"
        )


class Links(Protocol):
    """These are the addresses of what pages show, each as seen from the page that is being filled."""

    is_static: bool

    def asset(self, name: str) -> str: ...
    def home(self) -> str: ...
    def page(self, page_id: int) -> str: ...
    def thumbnail(self, page_id: int) -> str: ...


class ServerLinks:
    """These are addresses on the server."""

    is_static = False

    def asset(self, name: str) -> str:
        return f"/assets/{name}"

    def home(self) -> str:
        return "/"

    def page(self, page_id: int) -> str:
        return f"/pages/{page_id}"

    def thumbnail(self, page_id: int) -> str:
        return f"/pages/{page_id}/thumbnail.jpg"


def render(template: str, *, language: str, links: Links, values: Mapping[str, Any]) -> str:
    """Fill a template; all values are escaped."""
    translate = translator(language)
    words = {word: translate(word) for word in SCRIPT_WORDS}
    return (
        _environment()
        .get_template(template)
        .render(_=translate, language=language, links=links, words=words, **values)
    )


_made: list[Environment] = []


def _environment() -> Environment:
    if not _made:
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["number"] = lambda value: "–" if value is None else f"{value:,}"
        environment.filters["share"] = lambda value: "–" if value is None else f"{value:.2f}"
        environment.filters["moment"] = lambda value: f"{value:%Y-%m-%d %H:%M}"
        _made.append(environment)
    return _made[0]
