"""A subset of CEL, the language of x-kubernetes-validations: enough for rules over JSON values.

There: literals, lists, arithmetic on numbers and strings, comparisons, `&&`, `||`, `!`, `?:`, `in`, field selection
and indexing, `has()`, `size()`, `string()`, `int()`, the string functions `startsWith`, `endsWith`, `contains`,
`matches`, and the macros `all`, `exists`, `exists_one`, `filter`, `map`. Anything else is an `UnsupportedError` when
the rule is compiled, so a definition that uses it is refused instead of being half obeyed.
"""

from tests.sandbox.store.cel.parse import UnsupportedError
from tests.sandbox.store.cel.program import EvaluationError, Program, compiled

__all__ = ["EvaluationError", "Program", "UnsupportedError", "compiled"]
