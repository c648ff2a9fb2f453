"""The wheel: it carries data and model, and works from any folder."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTALLED_LIMIT = 20_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_unpacks_to_20_megabytes_at_most(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) <= INSTALLED_LIMIT


def test_the_wheel_works_in_a_clean_environment_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    # the libraries come from the environment of these tests, whose own .pth files, labkit's among them, stay unread
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (Path(site) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    where = [python, "-c", "import labkit; print(labkit.__file__)"]
    assert subprocess.run(where, cwd=elsewhere, capture_output=True, text=True, check=True).stdout.startswith(site)
    compare = [tmp_path / "env" / "bin" / "labkit", "compare", "--methods", "lora"]
    compare += ["--steps", "2", "--batch-size", "2", "--rows", "4", "--json"]
    rows = json.loads(subprocess.run(compare, cwd=elsewhere, capture_output=True, check=True).stdout)["rows"]
    assert [row["method"] for row in rows] == ["lead-2", "base", "lora"]
    assert (elsewhere / "runs").is_dir()
