"""CEL trees to Python closures over an environment of names.

As in CEL, `&&` and `||` answer from either side: an error on one side does not matter if the other decides.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tests.sandbox.store.cel.parse import Tree, UnsupportedError, parse
from tests.sandbox.store.jsondata import same_json

Env = dict[str, Any]
Term = Callable[[Env], Any]


class EvaluationError(Exception):
    """A rule that has no value, such as one that selects a field that is not there."""


class Program:
    """A compiled rule."""

    def __init__(self, text: str, term: Term, names: frozenset[str]) -> None:
        self.text = text
        self.transition = "oldSelf" in names  # asks about the old value, so only runs where there is one
        self._term = term

    def evaluate(self, env: Env) -> Any:
        """The value; raises EvaluationError."""
        return self._term(env)


@lru_cache(maxsize=512)
def compiled(text: str) -> Program:
    """The program of a rule; raises UnsupportedError for what is outside of the subset."""
    names: set[str] = set()
    term = _Compiler(names).term(parse(text), frozenset(["self", "oldSelf"]))
    return Program(text, term, frozenset(names))


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": operator.mod,
}
_FUNCTIONS: dict[tuple[str, int], Callable[..., Any]] = {
    ("size", 1): len,
    ("string", 1): lambda value: str(value).lower() if isinstance(value, bool) else str(value),
    ("int", 1): int,
    ("startsWith", 2): lambda text, part: text.startswith(part),
    ("endsWith", 2): lambda text, part: text.endswith(part),
    ("contains", 2): lambda text, part: part in text,
    ("matches", 2): lambda text, pattern: re.search(pattern, text) is not None,
}
_MACROS = ("all", "exists", "exists_one", "filter", "map")


class _Compiler:
    def __init__(self, names: set[str]) -> None:
        self._names = names

    def term(self, tree: Tree, bound: frozenset[str]) -> Term:
        match tree:
            case ("literal", value):
                return lambda env: value
            case ("name", name):
                return self._name(name, bound)
            case ("list", items):
                terms = [self.term(one, bound) for one in items]
                return lambda env: [one(env) for one in terms]
            case ("select", inner, field):
                return _select(self.term(inner, bound), field)
            case ("index", inner, key):
                return _index(self.term(inner, bound), self.term(key, bound))
            case ("not", inner):
                return _not(self.term(inner, bound))
            case ("negative", inner):
                inside = self.term(inner, bound)
                return lambda env: -inside(env)
            case ("?", test, then, other):
                return _choice(*(self.term(one, bound) for one in (test, then, other)))
            case ("call", name, arguments):
                return self._call(name, arguments, bound)
            case (symbol, left, right):
                return _binary(symbol, self.term(left, bound), self.term(right, bound))
        raise UnsupportedError(f"no such expression: {tree!r}")

    def _name(self, name: str, bound: frozenset[str]) -> Term:
        if name not in bound:
            raise UnsupportedError(f"undeclared reference to {name!r}")
        self._names.add(name)
        return lambda env: env[name]

    def _call(self, name: str, arguments: list[Tree], bound: frozenset[str]) -> Term:
        if name == "has" and len(arguments) == 1 and arguments[0][0] == "select":
            return _has(self.term(arguments[0][1], bound), arguments[0][2])
        if name in _MACROS and len(arguments) == 3 and arguments[1][0] == "name":
            variable = arguments[1][1]
            return _macro(
                name, self.term(arguments[0], bound), variable, self.term(arguments[2], bound | {variable})
            )
        function = _FUNCTIONS.get((name, len(arguments)))
        if function is None:
            raise UnsupportedError(f"the function {name} with {len(arguments)} arguments")
        terms = [self.term(one, bound) for one in arguments]
        return lambda env: _called(function, [one(env) for one in terms])


def _called(function: Callable[..., Any], arguments: list[Any]) -> Any:
    try:
        return function(*arguments)
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise EvaluationError(f"no such overload: {error}") from error


def _select(inner: Term, field: str) -> Term:
    def select(env: Env) -> Any:
        value = inner(env)
        if not isinstance(value, dict) or field not in value:
            raise EvaluationError(f"no such key: {field}")
        return value[field]

    return select


def _has(inner: Term, field: str) -> Term:
    def has(env: Env) -> bool:
        value = inner(env)
        return isinstance(value, dict) and field in value

    return has


def _index(inner: Term, key: Term) -> Term:
    def index(env: Env) -> Any:
        try:
            return inner(env)[key(env)]
        except (KeyError, IndexError, TypeError) as error:
            raise EvaluationError(f"no such key: {error}") from error

    return index


def _not(inner: Term) -> Term:
    return lambda env: not _truth(inner(env))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


def _choice(test: Term, then: Term, other: Term) -> Term:
    return lambda env: then(env) if _truth(test(env)) else other(env)


def _binary(symbol: str, left: Term, right: Term) -> Term:
    if symbol in ("&&", "||"):
        return _logic(left, right, decides=symbol == "||")
    if symbol == "==":
        return lambda env: same_json(left(env), right(env))
    if symbol == "!=":
        return lambda env: not same_json(left(env), right(env))
    if symbol == "in":
        return lambda env: _called(_contained, [left(env), right(env)])
    function = _COMPARISONS.get(symbol) or _ARITHMETIC.get(symbol) or _divided
    return lambda env: _called(function, [left(env), right(env)])


def _contained(item: Any, container: Any) -> bool:
    return item in container


def _divided(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


def _logic(left: Term, right: Term, *, decides: bool) -> Term:
    def logic(env: Env) -> bool:
        try:
            if _truth(left(env)) is decides:
                return decides
        except EvaluationError:
            if _truth(right(env)) is decides:
                return decides
            raise
        return _truth(right(env))

    return logic


def _macro(name: str, over: Term, variable: str, body: Term) -> Term:
    def macro(env: Env) -> Any:
        scope = dict(env)

        def of(item: Any) -> Any:
            scope[variable] = item
            return body(scope)

        items = over(env)
        if not isinstance(items, (list, dict)):
            raise EvaluationError("no such overload")
        if name == "map":
            return [of(item) for item in items]
        if name == "filter":
            return [item for item in items if _truth(of(item))]
        if name == "all":
            return all(_truth(of(item)) for item in items)
        found = sum(_truth(of(item)) for item in items)
        return found == 1 if name == "exists_one" else found > 0

    return macro
