"""As much of an API server as certificates need, in memory, and a clock that a test sets."""

from __future__ import annotations

import base64
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from kairos_operator.api.resources import MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, Resource
from webhooks.certificates import Certificates, Place
from webhooks.configurations import by_service, mutating_configuration, validating_configuration
from webhooks.keychain import Keychain, Timing
from webhooks.server import server_context

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PLACE = Place("kairos-system", mutating=("m",), validating=("v",))
TIMING = Timing()
Object = dict[str, Any]


class Refused(Exception):
    """What the client raises for an answer that is no success."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class ApiServer:
    """As much of an API server as certificates need, with resourceVersions."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.version = 0
        self.writes: list[str] = []
        self.fails_with = 0
        service = by_service("s", "kairos-system")
        self.put(MUTATING_WEBHOOKS, mutating_configuration("m", service))
        self.put(VALIDATING_WEBHOOKS, validating_configuration("v", service))

    @property
    def server_time(self) -> datetime | None:
        """This one does not say what time it is."""
        return None

    def put(self, res: Resource, body: Object) -> Object:
        self.version += 1
        body = deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[res.plural, body["metadata"]["name"]] = body
        return deepcopy(body)

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> Object:
        if self.fails_with:
            raise Refused(self.fails_with)
        if (res.plural, name) not in self.objects:
            raise Refused(404)
        return deepcopy(self.objects[res.plural, name])

    async def create(self, res: Resource, body: Object, namespace: str | None = None) -> Object:
        if (res.plural, body["metadata"]["name"]) in self.objects:
            raise Refused(409)
        self.writes.append(f"create {res.plural}")
        return self.put(res, body)

    async def patch(
        self,
        res: Resource,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        kind: Literal["merge", "json"] = "merge",
    ) -> Object:
        obj = await self.get(res, name)
        self.writes.append(f"patch {res.plural}")
        if kind == "json":
            for operation in body:
                if operation["path"] == "/metadata/resourceVersion":
                    if operation["value"] != obj["metadata"]["resourceVersion"]:
                        raise Refused(422)
                    continue
                _, _, index, *rest = operation["path"].split("/")
                webhook = obj["webhooks"][int(index)]
                if operation["op"] == "test" and webhook["name"] != operation["value"]:
                    raise Refused(422)
                if operation["op"] == "add":
                    webhook[rest[0]][rest[1]] = operation["value"]
            return self.put(res, obj)
        if body["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Refused(409)
        obj["metadata"].setdefault("annotations", {}).update(body["metadata"]["annotations"])
        obj["data"] = {k: v for k, v in {**(obj.get("data") or {}), **body["data"]}.items() if v is not None}
        return self.put(res, obj)

    @property
    def secret(self) -> Object:
        return self.objects["secrets", PLACE.secret]

    def bundles(self) -> set[str]:
        hooks = [
            *self.objects["mutatingwebhookconfigurations", "m"]["webhooks"],
            *self.objects["validatingwebhookconfigurations", "v"]["webhooks"],
        ]
        return {hook["clientConfig"].get("caBundle", "") for hook in hooks}


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **parts: float) -> None:
        self.now += timedelta(**parts)


def replica(api: ApiServer, time: Time) -> Certificates:
    return Certificates(api, Refused, server_context(), PLACE, time, TIMING)


def trusts(api: ApiServer, chain: Keychain) -> bool:
    """Whether the API server trusts what a replica that holds `chain` serves."""
    return all(chain.current.ca.strip() in base64.b64decode(bundle) for bundle in api.bundles())
