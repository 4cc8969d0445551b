"""Kubernetes' own rules for label keys, label values, object names and label selectors (apimachinery's validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kairos_operator.api.base import DNS_SUBDOMAIN
from kairos_operator.api.selectors import LABEL_VALUE
from webhooks.faults import Fault, FaultType, Path

MAX_SUBDOMAIN = 253
MAX_LABEL = 63
_SUBDOMAIN = re.compile(DNS_SUBDOMAIN.rstrip("$"))
_VALUE = re.compile(LABEL_VALUE.rstrip("$"))
_NAME_PART = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_ALPHANUMERIC = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)


def subdomain_fault(name: str) -> str:
    """Why `name` cannot be an object's name, or nothing."""
    if len(name) > MAX_SUBDOMAIN:
        return f"must be no more than {MAX_SUBDOMAIN} bytes"
    return "" if _SUBDOMAIN.fullmatch(name) else SUBDOMAIN_RULE


def key_fault(key: str) -> str:
    """Why `key` cannot be a label's key, or nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if prefix and (fault := subdomain_fault(prefix)):
        return f"prefix part {fault}"
    if not name:
        return "name part must be non-empty"
    if len(name) > MAX_LABEL:
        return f"name part must be no more than {MAX_LABEL} bytes"
    return "" if _NAME_PART.fullmatch(name) else f"name part {_ALPHANUMERIC}"


def value_fault(value: str) -> str:
    """Why `value` cannot be a label's value, or nothing."""
    if len(value) > MAX_LABEL:
        return f"must be no more than {MAX_LABEL} bytes"
    return "" if _VALUE.fullmatch(value) else f"a valid label must be an empty string or {_ALPHANUMERIC}"


def selector_faults(selector: Any, at: Path) -> Iterator[Fault]:
    """What is wrong with a metav1.LabelSelector besides its types."""
    if not isinstance(selector, dict):
        return
    pairs = selector.get("matchLabels")
    for key, value in pairs.items() if isinstance(pairs, dict) else ():
        where = (*at, "matchLabels", key)
        if fault := key_fault(key):
            yield Fault(where, FaultType.INVALID, fault, key)
        if isinstance(value, str) and (fault := value_fault(value)):
            yield Fault(where, FaultType.INVALID, fault, value)
    requirements = selector.get("matchExpressions")
    for index, requirement in enumerate(requirements if isinstance(requirements, list) else ()):
        if isinstance(requirement, dict):
            yield from _requirement_faults(requirement, (*at, "matchExpressions", index))


def _requirement_faults(requirement: dict[str, Any], at: Path) -> Iterator[Fault]:
    key, operator, values = (requirement.get(name) for name in ("key", "operator", "values"))
    if isinstance(key, str) and (fault := key_fault(key)):
        yield Fault((*at, "key"), FaultType.INVALID, fault, key)
    if operator in ("In", "NotIn") and not values:
        detail = "must be specified when `operator` is 'In' or 'NotIn'"
        yield Fault((*at, "values"), FaultType.REQUIRED, detail)
    if operator in ("Exists", "DoesNotExist") and values:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield Fault((*at, "values"), FaultType.FORBIDDEN, detail)
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, str) and (fault := value_fault(value)):
            yield Fault((*at, "values", index), FaultType.INVALID, fault, value)
