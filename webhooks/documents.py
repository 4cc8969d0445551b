"""YAML as kubectl reads it, with the line and column of every field.

kubectl's YAML 1.1 takes `y` and `n` for booleans and a date for a string, where PyYAML has it the other way round.
Keys that stand twice are faults here: kubectl takes the last of them without a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from webhooks.faults import Fault, FaultType, Path

MAX_NODES = 200_000
"""Values in one document, anchors written out; a few lines of aliases can mean billions."""
MAX_DEPTH = 200


class NotYaml(ValueError):
    """A text that cannot be read; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file, counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """One document: its value, where each part of it stands, and keys that stand in it twice."""

    value: Any = None
    positions: dict[Path, Position] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def position(self, path: Path) -> Position:
        """Where `path` stands, or what would hold it, if it is not there."""
        while path not in self.positions and path:
            path = path[:-1]
        return self.positions[path]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as go-yaml resolves it."""

    bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}  # noqa: RUF012, the parent's own shape


_RESOLVED = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _RESOLVED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
    list("yYnNtTfFoO"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)


def read_documents(text: str) -> Iterator[Document]:
    """The documents of a text that are not empty. Raises NotYaml at the first that cannot be read."""
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            document = Document()
            document.value = _Builder(loader, document).build(node, (), 0)
            if document.value is not None:
                yield document
    except RecursionError:
        raise NotYaml("too deep", 1, 1) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotYaml(f"the character {text[error.position]!r} is not allowed", line, 1) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise NotYaml(str(error.problem or error), *place) from None


class _Builder:
    """Builds a document's value, and notes where its parts stand."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._nodes = 0

    def build(self, node: Node, path: Path, depth: int) -> Any:
        """The value of `node`, which stands at `path`."""
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise NotYaml("too deep or too large, aliases written out", *_place(node))
        self._document.positions.setdefault(path, Position(*_place(node)))
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.build(child, (*path, index), depth + 1) for index, child in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Any]:
        own = [self._key(key) for key, _ in node.value if not key.tag.endswith(":merge")]
        for name in sorted({name for name in own if own.count(name) > 1}) if len(own) > len(set(own)) else ():
            self._document.faults.append(
                Fault((*path, name), FaultType.INVALID, "the key stands here twice", name)
            )
        self._loader.flatten_mapping(node)
        found: dict[str, Any] = {}
        for key, child in node.value:
            name = self._key(key)
            self._document.positions[(*path, name)] = Position(*_place(key))
            found[name] = self.build(child, (*path, name), depth + 1)
        return found

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise NotYaml("a key must be a plain value", *_place(node))
        key = self._scalar(node)
        return key if isinstance(key, str) else str(key).lower()

    def _scalar(self, node: Node) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (ValueError, OverflowError) as error:
            raise NotYaml(f"not a value: {error}", *_place(node)) from None
        if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
            raise NotYaml("not a value that JSON has", *_place(node))
        return value


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
