"""Reads and patches the Node that this program runs on, with the token of its pod.

Rules: one connection per request, no proxy, no redirect; the token is read for each request, since the kubelet
replaces it, and never appears in an error.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from kairos_operator.labeler.settings import Settings

REQUEST_TIMEOUT = 15.0
"""Seconds without any progress after which a request is given up."""


class ApiError(Exception):
    """The API server answered with an error; the text has its status and message."""


REPEATABLE = (ApiError, OSError, http.client.HTTPException, ValueError)
"""What a request can fail with. All of it may pass, and all requests of this module can be repeated."""


@dataclass(frozen=True, slots=True)
class OwnNode:
    """The Node of this program, as the API server has it. Methods raise one of REPEATABLE."""

    settings: Settings

    def read(self) -> dict[str, Any]:
        """The Node now."""
        return self._request("GET", None)

    def patch(self, change: dict[str, Any]) -> None:
        """Sends a merge patch."""
        self._request("PATCH", change)

    def _request(self, method: str, body: dict[str, Any] | None) -> dict[str, Any]:
        url = urlsplit(self.settings.api_url)
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self._token()}",
            "User-Agent": "kairos-node-labeler",
        }
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        connection = self._connection(url.hostname or "", url.port)
        try:
            path = f"{url.path.rstrip('/')}/api/v1/nodes/{quote(self.settings.node_name)}"
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if not isinstance(answer, dict) or response.status != http.HTTPStatus.OK:
            said = answer.get("message") if isinstance(answer, dict) else None
            raise ApiError(f"the API server answered {response.status}: {said or response.reason}")
        return answer

    def _token(self) -> str:
        token = (self.settings.service_account_dir / "token").read_text(encoding="ascii").strip()
        if not token.isprintable() or not token:
            # http.client would refuse it too, with the token in the text of the error.
            raise ApiError("the service account's token file holds no token")
        return token

    def _connection(self, host: str, port: int | None) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.settings.service_account_dir / "ca.crt"))
        # Python 3.13 refuses certificate authorities without key identifiers, which clusters do have.
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        return http.client.HTTPSConnection(host, port, timeout=REQUEST_TIMEOUT, context=context)
