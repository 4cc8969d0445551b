"""Reads and writes the annotations of the pod that this program runs in.

Rules: one connection per request, no proxy, no redirect; the token is read for each request, since the
kubelet replaces it, and never appears in an error.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from .settings import Settings

REQUEST_TIMEOUT = 10.0
"""Seconds without any progress after which a request is given up."""


class ApiError(Exception):
    """The API server answered with an error; the text has its status and message."""


REPEATABLE = (ApiError, OSError, http.client.HTTPException, ValueError)
"""What a request can fail with. All of it may pass, and all requests of this module can be repeated."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer shows of the pod: its annotations, and whether it is being deleted."""

    annotations: dict[str, str]
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class OwnPod:
    """The pod of this program, as the API server has it. Methods raise one of REPEATABLE."""

    settings: Settings

    def read(self) -> Seen:
        """The pod now."""
        return self._request("GET", None)

    def annotate(self, annotations: dict[str, str]) -> Seen:
        """Sets these annotations in one write and leaves the others (RFC 7386 merge patch)."""
        stored = self._request("PATCH", {"metadata": {"annotations": annotations}})
        if not annotations.items() <= stored.annotations.items():
            raise ApiError("the answer does not show the annotations that were written")
        return stored

    def _request(self, method: str, body: dict[str, object] | None) -> Seen:
        """The pod in the answer."""
        url = urlsplit(self.settings.api_url)
        path = f"/api/v1/namespaces/{quote(self.settings.pod_namespace)}/pods/{quote(self.settings.pod_name)}"
        headers = {"Accept": "application/json", "User-Agent": "kairos-operator-reboot"}
        headers["Authorization"] = "Bearer " + self._token()
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        connection = self._connection(url.scheme, url.hostname or "", url.port)
        try:
            connection.request(
                method, url.path.rstrip("/") + path, json.dumps(body) if body else None, headers
            )
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        answer = _object(content)
        metadata = answer.get("metadata")
        if response.status != http.HTTPStatus.OK or not isinstance(metadata, dict) or "name" not in metadata:
            raise ApiError(f"the answer was {response.status} {answer.get('message', response.reason)}")
        annotations = {str(key): str(value) for key, value in (metadata.get("annotations") or {}).items()}
        return Seen(annotations, deleted="deletionTimestamp" in metadata)

    def _token(self) -> str:
        token = (self.settings.service_account_dir / "token").read_text(encoding="ascii").strip()
        if not token.isprintable() or not token:
            # http.client would refuse it too, with the token in the text of the error.
            raise ApiError("the service account's token file holds no token")
        return token

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=REQUEST_TIMEOUT)
        context = ssl.create_default_context(cafile=str(self.settings.service_account_dir / "ca.crt"))
        # Python 3.13 refuses certificate authorities without key identifiers, which clusters do have.
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        return http.client.HTTPSConnection(host, port, timeout=REQUEST_TIMEOUT, context=context)


def _object(content: bytes) -> dict[str, object]:
    """The JSON object in an answer; an answer of another form, such as a proxy's page, is an empty one."""
    try:
        answer = json.loads(content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
