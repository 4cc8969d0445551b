"""Generated specs: mostly sensible, now and then wrong in one place or in many."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Object = dict[str, Any]

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
LABELS = st.sampled_from(["a", "kairos.io/managed", "node-role.kubernetes.io/control-plane"])
VALUES = st.sampled_from(["", "true", "x.y_z"])
IMAGES = st.sampled_from(
    [
        "busybox",
        "quay.io/kairos/hadron:v4",
        "localhost:5000/a@sha256:" + "a" * 64,
        "[fd00::1]:5000/a:v1",
        "a" * 255,
    ]
)
WORDS = st.lists(
    st.sampled_from(["sh", "-c", "echo hello\nexit 1", "$HOME", "\u4e16 \u2028\x85", "$(X)"]),
    min_size=1,
    max_size=3,
)
PATHS = st.sampled_from(["/host", "/mnt/a.b", "/x", "/a b", "/hö/\u4e16", "/$(HOME)", "/" + "a" * 200])
NAMES = st.sampled_from(
    ["x", "a" * 253, "1.2-3", "a" * 63, "a" * 62 + ".b", ".".join(["b" * 63] * 3), "a" * 57 + "-b"]
)
"""Legal names of objects and nodes."""
WRONG = JSON_VALUES | st.sampled_from(
    [
        -1,
        2**31,
        "",
        "A b",
        "host",
        "/",
        "/a/../b",
        [""],
        [],
        {},
        {"command": []},
        {"enabled": True},
        [{"name": "A"}],
    ]
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional=fields)


SELECTORS = optional(
    matchLabels=st.dictionaries(LABELS, VALUES, max_size=2),
    matchExpressions=st.lists(
        st.fixed_dictionaries(
            {
                "key": LABELS,
                "operator": st.sampled_from(["In", "NotIn"]),
                "values": st.lists(VALUES, min_size=1, max_size=2),
            }
        )
        | st.fixed_dictionaries({"key": LABELS, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
        max_size=2,
    ),
)
CHECKS = st.builds(
    lambda command, rest: {"command": command, **rest},
    WORDS,
    optional(image=IMAGES, activeDeadlineSeconds=st.integers(1, 604800)),
)
SECRETS = st.lists(st.fixed_dictionaries({"name": st.sampled_from(["a", "b.c-d"])}), max_size=2)
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "imagePullSecrets": SECRETS,
    "nodeSelector": SELECTORS,
    "concurrency": st.integers(0, 100_000),
    "stopOnFailure": st.booleans(),
    "uncordonOnFailure": st.booleans(),
    "jobTimeoutSeconds": st.integers(1, 604800),
    "rebootTimeoutSeconds": st.integers(1, 604800),
}
NODE_OP_FIELDS: dict[str, st.SearchStrategy[Any]] = COMMON | {
    "image": IMAGES,
    "hostMountPath": PATHS,
    "cordon": st.booleans(),
    "drainOptions": optional(
        enabled=st.booleans(),
        force=st.booleans(),
        gracePeriodSeconds=st.integers(-5, 604800),
        ignoreDaemonSets=st.booleans(),
        deleteEmptyDirData=st.booleans(),
        timeoutSeconds=st.integers(1, 604800),
    ),
    "rebootOnSuccess": st.booleans(),
    "backoffLimit": st.integers(0, 2**31 - 1),
    "preflight": CHECKS,
    "postflight": CHECKS,
}
UPGRADE_FIELDS: dict[str, st.SearchStrategy[Any]] = COMMON | {
    "upgradeActive": st.booleans(),
    "upgradeRecovery": st.booleans(),
    "force": st.booleans(),
    "debug": st.booleans(),
    "excludePaths": st.lists(
        st.sampled_from(["/etc/my file", "/it's", "/$(HOME)/$$", "/" + "$" * 4095]), max_size=2
    ),
}

NODE_OPS = st.builds(lambda command, rest: {"command": command, **rest}, WORDS, optional(**NODE_OP_FIELDS))
UPGRADES = st.builds(lambda image, rest: {"image": image, **rest}, IMAGES, optional(**UPGRADE_FIELDS))


@st.composite
def spoiled(draw: st.DrawFn, specs: st.SearchStrategy[Object]) -> Object:
    """A spec with up to three of its fields, at any depth, replaced by something else."""
    spec: Object = deepcopy(draw(specs))
    for _ in range(draw(st.integers(0, 3))):
        place: Any = spec
        while isinstance(place, dict | list) and place:
            step = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[step], dict | list) or draw(st.booleans()):
                place[step] = deepcopy(draw(WRONG))
                break
            place = place[step]
    return spec
