"""The subset of CEL: values, errors, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.store.cel import EvaluationError, UnsupportedError, compiled

SELF: dict[str, Any] = {"a": 1, "s": "text", "l": [1, 2, 3], "m": {"k": "v"}, "t": True, "e": []}


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("self.a == 1 && self.s != 'x'", True),
        ("self.a == 2 || self.t", True),
        ("!self.t", False),
        ("self.a + 2 * 3 - 1 == 6", True),
        ("(self.a + 2) * 3 == 9", True),
        ("-self.a < 0 && 7 / 2 == 3 && -7 / 2 == -3 && 7 % 2 == 1", True),
        ("self.a >= 1 ? 'yes' : 'no'", "yes"),
        ("self.t == 1", False),
        ("has(self.m.k) && !has(self.m.x) && !has(self.e.x)", True),
        ("size(self.l) == 3 && size(self.s) == 4 && self.l.size() == 3", True),
        ("2 in self.l && 'k' in self.m && !('x' in self.m)", True),
        ("self.s.startsWith('te') && self.s.endsWith('xt') && self.s.contains('ex')", True),
        ("self.s.matches('^t.*t$') && !self.s.matches('^x')", True),
        ("self.l.all(x, x > 0) && self.l.exists(x, x == 3) && self.l.exists_one(x, x == 1)", True),
        ("self.m.all(k, k == 'k')", True),
        ("self.l.filter(x, x > 1).map(x, x * 2)", [4, 6]),
        ("self.l[0] == 1 && self.m['k'] == \"v\"", True),
        ("'n=' + string(self.a) + string(true)", "n=1true"),
        ("self.missing == 1 || self.t", True),
        ("self.missing == 1 && !self.t", False),
        ("self.e.all(x, x == 1) && !self.e.exists(x, true)", True),
        ("[1, 2] == self.l || null == null", True),
        ("1.5 < 2.0 && int('3') == 3", True),
    ],
)
def test_values(rule: str, value: Any) -> None:
    assert compiled(rule).evaluate({"self": SELF, "oldSelf": None}) == value


@pytest.mark.parametrize(
    "rule",
    [
        "self.missing",
        "self.a.b",
        "self.l[9]",
        "self.missing && self.t",
        "self.a && self.t",
        "self.a < 's'",
        "!self.a",
        "1 / 0",
        "self.a.all(x, true)",
    ],
)
def test_rules_without_a_value(rule: str) -> None:
    with pytest.raises(EvaluationError):
        compiled(rule).evaluate({"self": SELF, "oldSelf": None})


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "self.",
        "self.a ==",
        "(self.a",
        "self.a self.b",
        "x.y",
        "self.lowerAscii()",
        "has(self)",
        "self.?a",
        "{'a': 1}",
        "`a`",
        "self.l.all(1, true)",
    ],
)
def test_what_is_not_done_is_refused_at_once(rule: str) -> None:
    with pytest.raises(UnsupportedError):
        compiled(rule)


def test_a_rule_knows_whether_it_asks_for_the_old_value() -> None:
    assert compiled("self == oldSelf").transition
    assert not compiled("self == 'oldSelf'").transition
