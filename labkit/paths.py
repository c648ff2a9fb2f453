"""Where models and the corpus lie, in an installed wheel or beside it in a checkout, and where the cache is."""

import contextlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

_PACKAGE = Path(__file__).parent
DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent / "data"


def embedded_models() -> list[str]:
    """Names of the encoder-decoders that travel with labkit, which `load_model` opens."""
    return sorted(folder.name for folder in (DATA / "models").glob("nano*") if (folder / "config.json").is_file())


def model_folder(name: str) -> Path | None:
    """Folder of an embedded model, or of one's own; None for what can only be a name of the Hub.

    Args:
        name: What `load_model` takes; or "causal", the embedded model for transformers' `AutoModelForCausalLM`.

    Returns:
        A folder as `save_pretrained` writes it.
    """
    if name in (*embedded_models(), "causal"):
        return DATA / "models" / name
    return Path(name) if name and Path(name).is_dir() else None


def cache_folder() -> Path:
    """Where what can be made again is kept: the user's cache folder, or where LABKIT_CACHE says.

    Returns:
        A folder that can be written to; where that one cannot be, another that is gone when Python ends.
    """
    place = Path(os.environ.get("LABKIT_CACHE") or platformdirs.user_cache_dir("labkit", appauthor=False))
    with contextlib.suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
    return place if os.access(place, os.W_OK) else Path(_while_this_runs().name)


@cache
def _while_this_runs() -> Any:
    return tempfile.TemporaryDirectory(prefix="labkit-")
