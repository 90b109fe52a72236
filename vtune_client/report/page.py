"""Pages of HTML that stand alone: one file, no script, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING

from vtune_client.version import __version__

if TYPE_CHECKING:
    import jinja2


def render(template: str, /, **data: object) -> str:
    """Return the page that `template` of `report/templates` makes of `data`.

    All text is escaped, and a name that `data` lacks is an error. The page's policy (a Content
    Security Policy of level 3, in a meta element) lets nothing in but its own style sheet, known
    by its hash, so that markup in a model's name or answer can neither run, load nor disguise.
    """
    css = _style_sheet()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    from markupsafe import Markup

    frame = {"css": Markup(css), "policy": policy, "version": __version__}  # noqa: S704 -- our own file
    return _environment().get_template(template).render(frame | data)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("vtune_client.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style_sheet() -> str:
    from importlib import resources

    templates = resources.files("vtune_client.report") / "templates"
    return (templates / "page.css").read_text(encoding="utf-8")
