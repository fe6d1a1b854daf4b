"""A Hub of one small data set on this machine, for tests of what happens when the Hub answers.

Speaks the part of the Hub's protocol that `datasets.load_dataset` uses on a parquet data set.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c94da77eb22bbd6439e62a323bec18493a421302"


def parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), stream)
    return stream.getvalue()


@contextmanager
def serve(repo: str, rows: Sequence[Mapping[str, Any]], *, gated: bool = False) -> Iterator[str]:
    """The address of a Hub that has the rows as split "train" of one data set."""
    files = {"README.md": b"---\nlicense: mit\n---\n", "data/train-00000-of-00001.parquet": parquet(rows)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/":
                return self._answer(200, b"hub")
            if gated:
                return self._answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
            if f"/{repo}/resolve/" in path:
                name = path.split("/resolve/", 1)[1].split("/", 1)[1]
                if name in files:
                    return self._answer(200, files[name], {"ETag": f'"{_oid(files[name])}"'})
                return self._answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            if path.startswith(f"/api/datasets/{repo}"):
                rest = path.removeprefix(f"/api/datasets/{repo}").strip("/").split("/")
                if rest[0] in ("", "revision"):
                    siblings = [{"rfilename": name} for name in files]
                    return self._json({"id": repo, "sha": COMMIT, "siblings": siblings, "tags": []})
                if rest[0] == "tree":
                    return self._json(self._tree("/".join(rest[2:]), "recursive=True" in self.path))
            return self._answer(404, b"{}")

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            if "/paths-info/" in self.path and not gated:
                wanted = body["paths"]
                return self._json([e for e in self._tree("", True) if e["path"] in wanted])
            return self._answer(404, b"{}")

        def _tree(self, folder: str, recursive: bool) -> list[dict[str, Any]]:
            entries = [_file(name, content) for name, content in files.items()]
            entries.append({"type": "directory", "path": "data", "oid": "0" * 40, "size": 0})
            inside = f"{folder}/" if folder else ""
            found = [e for e in entries if e["path"].startswith(inside) and e["path"] != folder]
            return [e for e in found if recursive or "/" not in e["path"].removeprefix(inside)]

        def _json(self, value: object) -> None:
            self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _answer(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"X-Repo-Commit": COMMIT, **(headers or {})}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "oid": _oid(content), "size": len(content)}


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
