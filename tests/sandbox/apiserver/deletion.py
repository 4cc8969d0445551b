"""DeleteOptions as requests carry them."""

from __future__ import annotations

from typing import get_args

from aiohttp import web

from tests.sandbox.apiserver import bodies
from tests.sandbox.store import Object
from tests.sandbox.store.deletes import DeleteOptions, Propagation
from tests.sandbox.store.errors import bad_request
from tests.sandbox.store.writes import Options


async def delete_options(request: web.Request) -> DeleteOptions:
    """DeleteOptions from the body and the query, the body first."""
    body = await bodies.read(request)
    said = body if isinstance(body, dict) else {}
    dry = bodies.dry_run(request, said)
    return options_from({**request.query, **said}, dry_run=dry)


def options_from(said: Object, *, dry_run: bool) -> DeleteOptions:
    """DeleteOptions from a metav1.DeleteOptions; 422 for a propagation policy that does not exist."""
    conditions = said.get("preconditions") or {}
    policy: Propagation | None = said.get("propagationPolicy") or None
    if policy is not None and policy not in get_args(Propagation):
        raise bad_request(f'invalid propagationPolicy: "{policy}"')
    if "orphanDependents" in said and policy is None:
        policy = "Orphan" if said["orphanDependents"] in (True, "true") else "Background"
    grace = said.get("gracePeriodSeconds")
    return DeleteOptions(
        uid=conditions.get("uid") or "",
        resource_version=conditions.get("resourceVersion") or "",
        propagation=policy,
        grace=None if grace is None else int(grace),
        options=Options(dry_run=dry_run),
    )
