"""Pydantic models as structural schemas, the JSON schema that a CustomResourceDefinition takes.

A structural schema has no `$ref`, no unions, no titles and no null arm: a field that may be None is one
that may be left out. Lists are atomic unless the model says otherwise, so that server-side apply replaces a
command as a whole. Whatever a structural schema has no words for raises `NotStructural` when it is generated,
not when it is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kairos_operator.api.base import ApiModel

Schema = dict[str, Any]
Rules = Mapping[type[ApiModel], list[Schema]]

# What a model's JSON schema may say; the key order is that of the output, so that a diff reads well.
_KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
)
_DROPPED = {"title", "$defs", "$ref", "anyOf", "properties", "required", "items", "additionalProperties"}
_INT32_MAX = 2**31 - 1


class NotStructural(TypeError):
    """A model says something that a structural schema has no words for."""


def structural(
    model: type[ApiModel], rules: Rules, *, defaults: bool = True, keep_unknown: bool = False
) -> Schema:
    """The structural schema of `model`.

    `rules` are the CEL rules of the models in it; `defaults` says whether the API server fills defaults in;
    `keep_unknown` whether it keeps fields of its objects that it does not know. Raises NotStructural.
    """
    source = model.model_json_schema(by_alias=True, ref_template="{model}")
    by_name = {member.__name__: found for member, found in rules.items()}
    writer = _Writer(source.get("$defs", {}), by_name, defaults, keep_unknown)
    return writer.write(source, model.__name__, model.__name__)


class _Writer:
    """Rewrites one model's JSON schema; `where` names the place in errors."""

    def __init__(
        self, models: Schema, rules: Mapping[str, list[Schema]], defaults: bool, keep_unknown: bool
    ) -> None:
        self._models = models
        self._rules = rules
        self._defaults = defaults
        self._keep_unknown = keep_unknown

    def write(self, node: Schema, where: str, model: str = "") -> Schema:
        """The structural form of `node`; `model` is the name of the model that it describes, if it does."""
        node, referred = self._inlined(node, where)
        unknown = {key for key in node if key not in _KEPT and key not in _DROPPED and key[:2] != "x-"}
        if unknown or "type" not in node:
            raise NotStructural(f"{where}: {', '.join(sorted(unknown)) or 'no type'}")
        out = {key: node[key] for key in _KEPT if key in node}
        if out.get("default", "") is None or not self._defaults:
            out.pop("default", None)
        out.update(self._within(node, where))
        if node["type"] == "integer":
            out["format"] = "int32" if node.get("maximum", _INT32_MAX + 1) <= _INT32_MAX else "int64"
        out.update({key: value for key, value in node.items() if key.startswith("x-")})
        if found := self._rules.get(model or referred):
            out["x-kubernetes-validations"] = found
        return out

    def _within(self, node: Schema, where: str) -> Schema:
        """What stands inside an object, a map or a list."""
        if node["type"] == "array":
            inside = {"items": self.write(node["items"], f"{where}[]")}
            return (
                inside if "x-kubernetes-list-type" in node else inside | {"x-kubernetes-list-type": "atomic"}
            )
        if "additionalProperties" in node:
            return {"additionalProperties": self.write(node["additionalProperties"], f"{where}[*]")}
        if "properties" not in node:
            return {}
        inside = {
            "properties": {
                name: self.write(child, f"{where}.{name}") for name, child in node["properties"].items()
            }
        }
        if node.get("required"):
            inside["required"] = node["required"]
        return inside | ({"x-kubernetes-preserve-unknown-fields": True} if self._keep_unknown else {})

    def _inlined(self, node: Schema, where: str) -> tuple[Schema, str]:
        """`node` with its reference and its one arm besides null written out, and the model referred to."""
        if "anyOf" in node:
            arms = [arm for arm in node["anyOf"] if arm.get("type") != "null"]
            if len(arms) != 1:
                raise NotStructural(f"{where}: a union")
            node = {**arms[0], **{key: value for key, value in node.items() if key != "anyOf"}}
        referred = node.get("$ref", "")
        return ({**self._models[referred], **node}, referred) if referred else (node, "")
