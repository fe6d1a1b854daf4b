"""A Hub on this machine that takes a data set: creates it, takes files as LFS objects, and commits."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c94da77eb22bbd6439e62a323bec18493a421302"


@dataclass
class Hub:
    token: str
    address: str = ""
    private: bool | None = None
    """None: there is no such data set yet."""
    objects: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@contextmanager
def serve(repo: str, *, token: str = "hf_good", private: bool | None = None) -> Iterator[Hub]:
    """A Hub that knows one data set and lets one token write to it."""
    hub = Hub(token, private=private)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                return self._json({})
            if self.path.split("?")[0] == f"/api/datasets/{repo}" and hub.private is not None:
                known = {"id": repo, "sha": COMMIT, "private": hub.private, "tags": [], "siblings": []}
                return self._json(known)
            return self._json({"error": "not found"}, 404)

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            path = self.path.split("?")[0]
            if path == "/api/validate-yaml":
                return self._json({"errors": [], "warnings": []})
            if self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self._json({"error": "forbidden"}, 403)
            if path == "/api/repos/create":
                asked = json.loads(body)
                assert (asked["type"], f"{asked['organization']}/{asked['name']}") == ("dataset", repo)
                exists = hub.private is not None
                if not exists:
                    hub.private = asked["private"] if "private" in asked else asked["visibility"] == "private"
                return self._json({"url": f"{hub.address}/datasets/{repo}"}, 409 if exists else 200)
            if path == f"/api/datasets/{repo}/preupload/main":
                return self._json({"files": [self._mode(f["path"]) for f in json.loads(body)["files"]]})
            if path == f"/datasets/{repo}.git/info/lfs/objects/batch":
                return self._json({"objects": [self._upload(o) for o in json.loads(body)["objects"]]})
            if path == f"/api/datasets/{repo}/commit/main":
                for line in body.strip().split(b"\n"):
                    self._take(json.loads(line))
                return self._json(
                    {
                        "commitUrl": f"{hub.address}/datasets/{repo}/commit/{COMMIT}",
                        "commitOid": COMMIT,
                        "hookOutput": "",
                    }
                )
            return self._json({"error": f"no {path}"}, 404)

        def do_PUT(self) -> None:
            hub.objects[self.path.rsplit("/", 1)[1]] = self.rfile.read(int(self.headers["Content-Length"]))
            self._json({})

        @staticmethod
        def _mode(path: str) -> dict[str, Any]:
            mode = "lfs" if path.endswith(".parquet") else "regular"
            return {"path": path, "uploadMode": mode, "shouldIgnore": False}

        @staticmethod
        def _upload(wanted: dict[str, Any]) -> dict[str, Any]:
            upload = {"href": f"{hub.address}/upload/{wanted['oid']}"}
            return {"oid": wanted["oid"], "size": wanted["size"], "actions": {"upload": upload}}

        @staticmethod
        def _take(operation: dict[str, Any]) -> None:
            value = operation["value"]
            if operation["key"] == "header":
                hub.commits.append(value["summary"])
            elif operation["key"] == "file":
                hub.files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                hub.files[value["path"]] = hub.objects[value["oid"]]

        def _json(self, value: object, status: int = 200) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
