"""The two CustomResourceDefinitions, made from the models.

The CEL rules here are those that must hold even where no webhook runs; `webhooks.validate` says the same, and
more, in better words. A rule that compares (`oldSelf`) stands at the root, since only there are spec and
status in sight. Everything that CEL walks through is bounded in the models: the API server refuses rules that
could cost too much. The default of `spec.image` is the operator's setting, so no schema can know it.
"""

from __future__ import annotations

from typing import Any

from kairos_operator.api.base import ApiModel
from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, Resource
from kairos_operator.api.schema import Rules, Schema, structural
from kairos_operator.api.selectors import LabelSelectorRequirement
from kairos_operator.api.status import NodeOpStatus, NodeOpUpgradeStatus

CATEGORY = "kairos"
SHORT_NAMES = {NODE_OPS: "nop", NODE_OP_UPGRADES: "nou"}
PURPOSE = {
    NODE_OPS: "NodeOp runs a command on the selected nodes, once. It is a one-off: it never starts again.",
    NODE_OP_UPGRADES: "NodeOpUpgrade upgrades the selected Kairos nodes to an image, once. It is a one-off.",
}
MODELS: dict[Resource, tuple[type[ApiModel], type[ApiModel]]] = {
    NODE_OPS: (NodeOpSpec, NodeOpStatus),
    NODE_OP_UPGRADES: (NodeOpUpgradeSpec, NodeOpUpgradeStatus),
}

RULES: Rules = {
    NodeOpSpec: [
        {
            "rule": "!has(self.drainOptions) || !self.drainOptions.enabled || self.cordon",
            "message": "needs spec.cordon: true",
            "fieldPath": ".drainOptions.enabled",
        }
    ],
    LabelSelectorRequirement: [
        {
            "rule": "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
            "message": "must be specified when `operator` is 'In' or 'NotIn'",
            "fieldPath": ".values",
            "reason": "FieldValueRequired",
        },
        {
            "rule": "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
            "message": "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            "fieldPath": ".values",
            "reason": "FieldValueForbidden",
        },
    ],
}

REMEDY = (
    "create a new object instead: set metadata.generateName in place of metadata.name, and use kubectl create"
)

# A new object has no oldSelf, so these do not run on create. `Pending`, or no phase yet, is "not started".
ROOT_RULES: list[Schema] = [
    {
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'Pending'"
        " || self.spec == oldSelf.spec",
        "message": f"the operation has started, so its spec no longer changes; {REMEDY}",
        "messageExpression": "'phase is ' + oldSelf.status.phase"
        f" + ': the operation has started, so its spec no longer changes; {REMEDY}'",
        "fieldPath": ".spec",
        "reason": "FieldValueForbidden",
    },
    {
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.phase)"
        " || !(oldSelf.status.phase in ['Completed', 'Failed'])"
        " || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)",
        "message": f"a finished operation never starts again; {REMEDY}",
        "fieldPath": ".status.phase",
        "reason": "FieldValueForbidden",
    },
]

COLUMNS: list[dict[str, Any]] = [
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Progress", "type": "string", "jsonPath": ".status.summary.progress"},
    {"name": "In-flight", "type": "integer", "jsonPath": ".status.summary.running"},
    {"name": "Failed", "type": "integer", "jsonPath": ".status.summary.failed"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Image", "type": "string", "jsonPath": ".spec.image", "priority": 1},
    {"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1},
]

_ROOT_DESCRIPTIONS = {
    "apiVersion": "The versioned schema of this representation of an object.",
    "kind": "The REST resource that this object represents.",
}


def object_schema(resource: Resource) -> Schema:
    """The schema of whole objects of a kind.

    The status has no defaults, since its writer says everything, and keeps fields of a newer operator's that
    this schema does not know, so that going back a version loses nothing that the way forward needs.
    """
    spec, status = MODELS[resource]
    texts = {name: {"description": text, "type": "string"} for name, text in _ROOT_DESCRIPTIONS.items()}
    return {
        "description": PURPOSE[resource],
        "type": "object",
        "properties": {
            **texts,
            "metadata": {"type": "object"},
            "spec": structural(spec, RULES),
            "status": structural(status, RULES, defaults=False, keep_unknown=True),
        },
        "required": ["spec"],
        "x-kubernetes-validations": ROOT_RULES,
    }


def custom_resource_definition(resource: Resource) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, ready to be installed."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [SHORT_NAMES[resource]],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": COLUMNS,
                    "schema": {"openAPIV3Schema": object_schema(resource)},
                }
            ],
        },
    }
