"""Whatever the operator can say of an operation stands in the page on troubleshooting."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kairos_operator.core
from tests.docs.pages import DOCS

CORE = Path(kairos_operator.core.__file__).parent
# Every module of the core but the one whose texts say what is being done, which `could not ...` in the log quotes.
SPEAKING = sorted(path.stem for path in CORE.glob("*.py") if path.stem != "actions")
SCRIPTS = CORE / "scripts"
LOGGING = sorted(
    path
    for package in (
        CORE.parent / "runtime",
        CORE.parent / "labeler",
        CORE.parent,
        CORE.parents[1] / "webhooks",
    )
    for path in package.glob("*.py")
)
# What the upgrade script says to arguments that the operator does not give it.
NEVER_SAID = {"--exclude-path needs a path.", "Unknown argument of the upgrade script: $1"}
PAGE = " ".join((DOCS / "troubleshooting.md").read_text().split())
# Said where the cluster gives no reason of its own; they stand in place of one.
IN_PLACE_OF_REASONS = {"no reason was given", "the pod failed"}


def _docstrings(tree: ast.Module) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
    return found


def _texts(module: str) -> Iterator[str]:
    """The constant parts of every sentence in a module: literals of several words."""
    tree = ast.parse((CORE / f"{module}.py").read_text())
    documentation = _docstrings(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in documentation:
            continue
        text = node.value.strip(" ,:;()'.")
        if len(text.split()) >= 3 and "{" not in text:
            yield text


def _reasons(module: str) -> Iterator[str]:
    """The reasons of the module's Events."""
    tree = ast.parse((CORE / f"{module}.py").read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in ("failed", "note", "Note", "_failed"):
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and re.fullmatch(r"[A-Z]\w+", str(argument.value)):
                    yield str(argument.value)


@pytest.mark.parametrize("module", SPEAKING)
def test_every_sentence_is_explained(module: str) -> None:
    missing = {text for text in _texts(module) if text not in PAGE} - IN_PLACE_OF_REASONS
    assert not missing


def test_every_reason_of_an_event_is_listed() -> None:
    reasons = {reason for module in SPEAKING for reason in _reasons(module)}
    assert len(reasons) >= 15, "the reasons are found in the source"
    assert {reason for reason in reasons if f"`{reason}`" not in PAGE} == set()


def _logged(path: Path) -> Iterator[str]:
    """The constant parts of what a module logs as a warning or worse."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in ("warning", "error", "exception") and ast.unparse(node.func.value) == "log":
            text = ast.literal_eval(node.args[0])
            yield from (
                part.strip(" ,;:") for part in re.split(r"%[sd]|%\.\df s", text) if len(part.split()) >= 3
            )


def test_every_warning_in_the_log_is_explained() -> None:
    said = {text for path in LOGGING for text in _logged(path)}
    assert len(said) >= 10, "they are found in the source"
    assert {text for text in said if text not in PAGE} == set()


def test_every_sentence_with_which_a_script_ends_is_explained() -> None:
    texts = [script.read_text() for script in SCRIPTS.glob("*.sh")]
    said = {
        text for script in texts for text in re.findall(r'(?:tell|fail \d) "(.+)"$', script, re.MULTILINE)
    }
    assert len(said) >= 5
    parts = {text: re.split(r"/?\$(?:\{[^}]*\}|\w+|\?)", text) for text in said - NEVER_SAID}
    unknown = {
        text
        for text, pieces in parts.items()
        if not all(piece.strip(" ,.:()") in PAGE for piece in pieces if len(piece.split()) >= 2)
    }
    assert unknown == set()
