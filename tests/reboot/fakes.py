"""A fake node and a fake API server for the reboot program as a process of its own.

The program's PATH holds one directory with one file, a stub `nsenter`, so that nothing of this machine can
be reached through it, least of all a reboot. The stub's reboot does what a node does: its boot id changes and
the program is killed. Every process is killed at the end of its test.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

JOB = "upgrade-worker-1-abcde"
TOKEN = "a-very-secret-token"
PATIENCE = 30.0
"""Seconds after which a test gives up waiting; no test needs a tenth of it."""

NSENTER = """#!/bin/sh
[ "$1 $2 $3 $4" = "-t 1 -m --" ] || exit 99
read -r boot <"$NODE/boot"
case $5 in
    cat) echo "boot-id-$boot" ;;
    reboot)
        echo "$boot" >>"$NODE/reboots"
        read -r answer <"$NODE/answer"
        case $answer in
            refuse) echo "Failed to talk to init: no" >&2 && exit 1 ;;
            ignore) exit 0 ;;
            pretend) kill -9 "$PPID" && exit 0 ;;
        esac
        echo $((boot + 1)) >"$NODE/boot"
        kill -9 "$PPID"
        ;;
    *) exit 98 ;;
esac
"""


class FakePodApi(ThreadingHTTPServer):
    """Serves one pod. `troubles` are answered first, one a request: a status, or 0 for a cut connection. The pod is
    being deleted from the request with the number `deleted_from` on.
    """

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _PodRequest)
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.annotations: dict[str, str] = {"other": "kept"}
        self.troubles: list[int] = []
        self.deleted_from: int | None = None
        self.requests: list[tuple[str, str]] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what these tests are about."""


class _PodRequest(BaseHTTPRequestHandler):
    server: FakePodApi

    def do_GET(self) -> None:
        self._answer({})

    def do_PATCH(self) -> None:
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert set(body) == {"metadata"}
        assert set(body["metadata"]) == {"annotations"}
        self._answer(body["metadata"]["annotations"])

    def _answer(self, changes: dict[str, str]) -> None:
        self.server.requests.append((self.command, self.path))
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.server.troubles:
            status = self.server.troubles.pop(0)
            if status:
                self._send(status, {"kind": "Status", "message": "made-up trouble"})
            return
        self.server.annotations.update(changes)
        metadata: dict[str, object] = {"name": "p", "annotations": self.server.annotations}
        if self.server.deleted_from is not None and len(self.server.requests) >= self.server.deleted_from:
            metadata["deletionTimestamp"] = "2026-05-04T03:02:01Z"
        self._send(200, {"metadata": metadata})

    def _send(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """The tests look at `requests` instead."""


class FakeNode:
    """A node in a directory, with the processes that its containers are."""

    def __init__(self, directory: Path, api_url: str) -> None:
        self.directory = directory
        self.api_url = api_url
        self.sentinels = directory / "sentinel"
        self.termination_log = directory / "termination-log"
        self.log = ""
        self._processes: list[subprocess.Popen[str]] = []
        for name in ("sentinel", "bin", "serviceaccount"):
            (directory / name).mkdir(parents=True)
        (directory / "serviceaccount" / "token").write_text(TOKEN + "\n")
        self.nsenter = directory / "bin" / "nsenter"
        self.nsenter.write_text(NSENTER)
        self.nsenter.chmod(0o755)
        (directory / "boot").write_text("1\n")
        self.answer("agree")

    def answer(self, answer: str) -> None:
        """What the node does when asked to reboot: `agree`, `refuse`, `ignore` or `pretend` (the boot stays)."""
        (self.directory / "answer").write_text(answer + "\n")

    @property
    def reboots(self) -> int:
        """How often a reboot was asked for."""
        asked = self.directory / "reboots"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    def succeed(self) -> None:
        """The Job's pod writes its sentinel."""
        (self.sentinels / JOB).write_text(JOB + "\n")

    def files(self) -> list[str]:
        return sorted(path.name for path in self.sentinels.iterdir())

    def start(self, **changes: str) -> subprocess.Popen[str]:
        """The reboot container starts."""
        environ = {
            "PATH": str(self.nsenter.parent),
            "NODE": str(self.directory),
            "POD_NAME": "reboot-worker-1",
            "POD_NAMESPACE": "fleet",
            "JOB_NAME": JOB,
            "SENTINEL_DIR": str(self.sentinels),
            "TERMINATION_LOG": str(self.termination_log),
            "KAIROS_API_URL": self.api_url,
            "KAIROS_SERVICEACCOUNT_DIR": str(self.directory / "serviceaccount"),
            "REBOOT_DELAY": "0",
            "REBOOT_POLL": "0.02",
            "REBOOT_PATIENCE": "20",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "kairos_operator.reboot"],
            env=environ | changes,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def run(self, **changes: str) -> int:
        """The reboot container runs to its end; negative is the signal that ended it."""
        process = self.start(**changes)
        self.log = process.communicate(timeout=PATIENCE)[0]
        return process.returncode

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=PATIENCE)


def wait_until(what: str, seen: Callable[[], bool]) -> None:
    """Returns once `seen`; fails the test if that takes too long."""
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, f"did not see: {what}"
        time.sleep(0.01)


def is_alone_on_path(nsenter: Path) -> bool:
    """Whether the stub is all that the program can call by name."""
    return os.listdir(nsenter.parent) == ["nsenter"]
