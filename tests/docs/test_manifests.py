"""Every manifest in the documentation is one that the operator would take."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kairos_operator.__main__ import main
from tests.docs.pages import PAGES, blocks

BLOCKS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"))
]


@pytest.mark.parametrize("text", BLOCKS)
def test_it_validates(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(text)
    code = main(["validate", str(file)])
    told = capsys.readouterr()
    assert code == 0, told.out
    assert "warning" not in told.out, "the documentation does what the operator warns of"


def test_there_are_some_of_both_kinds() -> None:
    kinds = [
        document.get("kind")
        for page in PAGES
        for text in blocks(page, "yaml")
        for document in yaml.safe_load_all(text)
    ]
    assert kinds.count("NodeOp") >= 4
    assert kinds.count("NodeOpUpgrade") >= 8
