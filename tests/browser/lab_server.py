"""A JupyterLab of the tests' own: on loopback, behind a token, and without anybody's settings."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

HOST = "127.0.0.1"
QUIET = {"fetchNews": "false", "checkForUpdates": False}  # else JupyterLab asks whether it may fetch news


class Server(NamedTuple):
    """Where a JupyterLab is, what it asks for, and the folder that it shows."""

    address: str
    token: str
    folder: Path


@contextmanager
def lab_server(root: Path) -> Iterator[Server]:
    """Serve the folder `root/labs`, which is made; runs go to `root/runs`."""
    folder, notices = root / "labs", root / "settings" / "@jupyterlab" / "apputils-extension"
    for each in (folder, notices):
        each.mkdir(parents=True)
    (notices / "notification.jupyterlab-settings").write_text(json.dumps(QUIET), encoding="utf-8")
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
        "LABKIT_RUNS": "runs",
    }
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    server = Server(f"http://{HOST}:{port}", secrets.token_hex(16), folder)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.ip={HOST}", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    command += [f"--IdentityProvider.token={server.token}", *(["--allow-root"] if os.geteuid() == 0 else [])]
    told = root / "server.log"
    with told.open("wb") as log:
        environment = os.environ | {name: str(root / place) for name, place in places.items()}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(server, process, told)
        yield server
    finally:
        _end(process)


def _wait(server: Server, process: subprocess.Popen[bytes], told: Path) -> None:
    asked = urllib.request.Request(f"{server.address}/api/status", headers={"Authorization": f"token {server.token}"})
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(asked, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{told.read_text(encoding='utf-8')[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and its kernels, which live in sessions of their own."""
    mine = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for each in psutil.wait_procs(mine, timeout=5)[1]:
        each.kill()
