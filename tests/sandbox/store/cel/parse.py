"""CEL text to a tree of tuples: (operator, operands...)."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

Tree = tuple[Any, ...]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+\.\d+(?:[eE][-+]?\d+)?|\d+)u?
      | (?P<string>r?"(?:[^"\\]|\\.)*"|r?'(?:[^'\\]|\\.)*')
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<symbol>&&|\|\||[=!<>]=|[-+*/%<>!?:.,()\[\]])
    )""",
    re.VERBOSE,
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("==", "!=", "<", "<=", ">", ">=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None}


class UnsupportedError(Exception):
    """The rule is not CEL, or not of the subset that is done here."""


def parse(text: str) -> Tree:
    """The tree of an expression; raises UnsupportedError."""
    parser = _Parser(_tokens(text), text)
    tree = parser.expression()
    if parser.peek() is not None:
        raise UnsupportedError(f"unexpected {parser.peek()!r} in {text!r}")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise UnsupportedError(f"cannot read {text[at:]!r}")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return found


class _Parser:
    """Recursive descent over the token list."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0

    def peek(self) -> str | None:
        """The next token unless it is a string or the end."""
        if self._at >= len(self._tokens):
            return None
        return self._tokens[self._at][1]

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise UnsupportedError(f"{self._text!r} ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _symbol(self, *wanted: str) -> str:
        """Consume and return the next token if it is one of these symbols or words."""
        if self._at < len(self._tokens) and self._tokens[self._at][0] != "string" and self.peek() in wanted:
            return self._next()[1]
        return ""

    def _expect(self, wanted: str) -> None:
        if not self._symbol(wanted):
            raise UnsupportedError(f"expected {wanted!r} before {self.peek()!r} in {self._text!r}")

    def expression(self) -> Tree:
        tree = self._binary(0)
        if self._symbol("?"):
            then = self.expression()
            self._expect(":")
            return ("?", tree, then, self.expression())
        return tree

    def _binary(self, level: int) -> Tree:
        if level == len(_LEVELS):
            return self._unary()
        tree = self._binary(level + 1)
        while operator := self._symbol(*_LEVELS[level]):
            tree = (operator, tree, self._binary(level + 1))
        return tree

    def _unary(self) -> Tree:
        if self._symbol("!"):
            return ("not", self._unary())
        if self._symbol("-"):
            return ("negative", self._unary())
        return self._member()

    def _member(self) -> Tree:
        tree = self._primary()
        while True:
            if self._symbol("."):
                kind, name = self._next()
                if kind != "name":
                    raise UnsupportedError(f"expected a field name before {name!r} in {self._text!r}")
                tree = (
                    ("call", name, [tree, *self._arguments()])
                    if self._symbol("(")
                    else ("select", tree, name)
                )
            elif self._symbol("["):
                tree = ("index", tree, self.expression())
                self._expect("]")
            else:
                return tree

    def _arguments(self) -> list[Tree]:
        return self._sequence(")", self.expression)

    def _sequence(self, end: str, one: Callable[[], Tree]) -> list[Tree]:
        found: list[Tree] = []
        while not self._symbol(end):
            if found:
                self._expect(",")
            found.append(one())
        return found

    def _primary(self) -> Tree:
        kind, text = self._next()
        if kind == "number":
            return ("literal", float(text) if "." in text else int(text))
        if kind == "string":
            return ("literal", ast.literal_eval(text))
        if kind == "name":
            if text in _CONSTANTS:
                return ("literal", _CONSTANTS[text])
            return ("call", text, self._arguments()) if self._symbol("(") else ("name", text)
        if text == "(":
            tree = self.expression()
            self._expect(")")
            return tree
        if text == "[":
            return ("list", self._sequence("]", self.expression))
        raise UnsupportedError(f"unexpected {text!r} in {self._text!r}")
