"""Putting an export on the Hub: what is sent, to a hub of our own on this machine, and what is refused."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from labkit.adapters.sharing import push
from labkit.errors import LabError

FILES = {
    "README.md": b"# bottleneck on nano\n",
    "adapter_config.json": b"{}\n",
    "adapter_model.safetensors": b"weights",
    "bottleneck.py": b"import peft\n",
}


class Hub(ThreadingHTTPServer):
    """As much of the Hub as an upload asks for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    """What it answers."""

    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers["Authorization"])
        if self.path == "/api/validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            self.server.made.append(json.loads(body))
            return self.say(200, {"url": f"{self.server.address}/me/mine", "name": "me/mine"})
        if self.path.endswith("/preupload/main"):
            asked = [{**file, "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]]
            return self.say(200, {"files": asked})
        for line in map(json.loads, body.splitlines()):  # a commit
            if line["key"] == "file":
                self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        where = f"{self.server.address}/me/mine/commit/{'0' * 40}"
        return self.say(200, {"commitUrl": where, "commitOid": "0" * 40, "success": True})

    def do_GET(self) -> None:
        self.say(200, {"id": "me/mine", "sha": "0" * 40, "siblings": []})

    def parse_request(self) -> bool:
        """Let nobody in whose token is wrong."""
        known = super().parse_request() and self.headers["Authorization"] != "Bearer wrong"
        if not known:
            self.say(401, {"error": "Invalid credentials"})
        return known

    def say(self, code: int, what: dict[str, Any]) -> None:
        """Send JSON."""
        body = json.dumps(what).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_sends_weights_configs_card_and_tuner_and_nothing_else(hub: Hub, exported: Path) -> None:
    (exported / "training_args.bin").write_bytes(b"a pickle")
    (exported / "notes.txt").write_text("private")
    (exported / "mine.py").write_text("private")
    assert push(exported, "me/mine", token="secret", endpoint=hub.address) == f"{hub.address}/me/mine"
    assert hub.files == FILES
    assert hub.tokens == {"Bearer secret"}
    assert hub.made == [{"name": "mine", "organization": "me", "visibility": "private"}]


def test_what_the_hub_refuses_is_one_line(hub: Hub, exported: Path) -> None:
    with pytest.raises(LabError, match=r"me/mine was not uploaded \(.*401.*\): check the name, the network") as caught:
        push(exported, "me/mine", token="wrong", endpoint=hub.address)
    assert "\n" not in str(caught.value)
    assert not hub.files


def test_a_name_that_is_none_is_refused(hub: Hub, exported: Path) -> None:
    with pytest.raises(LabError, match="was not uploaded"):
        push(exported, "me/mine/too", token="secret", endpoint=hub.address)


@pytest.mark.parametrize("missing", ["README.md", "adapter_model.safetensors"])
def test_a_folder_that_was_not_exported_is_refused(hub: Hub, exported: Path, missing: str) -> None:
    (exported / missing).unlink()
    with pytest.raises(LabError, match="holds no exported weights with a card: export a run there first"):
        push(exported, "me/mine", token="secret", endpoint=hub.address)
    assert not hub.made
