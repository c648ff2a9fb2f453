"""Put an exported folder on the Hub; nothing else in labkit sends anything anywhere."""

from pathlib import Path

from labkit.adapters.exporting import WEIGHTS
from labkit.errors import LabError
from labkit.methods import METHODS

CODE = [f"{method.tuner}.py" for method in METHODS.values() if method.tuner]
SENT = ("README.md", "*.json", *(f"*{ending}" for ending in WEIGHTS), *CODE)


def push(
    folder: str | Path, name: str, *, private: bool = True, token: str | None = None, endpoint: str | None = None
) -> str:
    """Upload what `export` wrote: weights, configs, card, code of a method of ours; and nothing else that lies there.

    Args:
        folder: Written by `export`.
        name: Where to, as "your-name/flan-t5-base-dialogsum-lora"; made if it is not there.
        private: Whether only you can see it, if it is made.
        token: Your access token; the one that `hf auth login` stored unless given.
        endpoint: Address of another hub.

    Returns:
        The address of its page.

    Raises:
        LabError: The folder was not exported, or the Hub refused it.

    Example:
        >>> push(export(run, "my_adapter"), "your-name/my-adapter")
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    folder = Path(folder)
    if not (folder / "README.md").is_file() or not list(folder.glob("*.safetensors")):
        raise LabError(f"{folder} holds no exported weights with a card: export a run there first")
    hub = HfApi(endpoint=endpoint, token=token)
    try:
        page = hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, allow_patterns=list(SENT), commit_message="Add an adapter")
    except (HfHubHTTPError, ValueError, OSError) as error:  # refused, a name that is none, no network
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise LabError(f"{name} was not uploaded ({reason}): check the name, the network and your token") from error
    return str(page)
