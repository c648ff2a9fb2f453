"""Where models and the corpus lie: the embedded ones inside an installed wheel, or beside it in a checkout."""

from pathlib import Path

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
