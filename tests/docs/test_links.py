"""Links between the pages lead somewhere, and every page can be found."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links


def _inside(page: Path) -> list[str]:
    return [link for link in links(page) if "://" not in link and not link.startswith("mailto:")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in _inside(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda page: page.name)
def test_a_rendered_page_links_to_rendered_pages_only(page: Path) -> None:
    outside = [link for link in _inside(page) if not (page.parent / link).resolve().is_relative_to(DOCS)]
    assert not outside, "the rendered site has docs/ and nothing else"


def test_the_menu_has_every_page_once() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named: list[str] = []

    def walk(entry: object) -> None:
        if isinstance(entry, str):
            named.append(entry)
        elif isinstance(entry, dict):
            for inside in entry.values():
                walk(inside)
        elif isinstance(entry, list):
            for inside in entry:
                walk(inside)

    walk(config["nav"])
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.glob("**/*.md")), (
        "list each page in mkdocs.yml"
    )
