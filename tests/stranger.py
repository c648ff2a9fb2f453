"""Somebody without labkit, who does what the cards of exported folders say; prints what they print, keeps the scores.

python stranger.py base root       root: a folder of exports; writes printed.json and scores.safetensors where it runs
"""

import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

sys.modules["labkit"] = None  # type: ignore[assignment]  # importing it is an error from now on

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402


def follow(folder: Path, base: str) -> tuple[str, torch.Tensor]:
    """What a card's lines print, and the scores of the first tokens that their model writes."""
    (lines,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    lines = lines.replace("path/to/tiny", base).replace("path/to/this/folder", str(folder))
    known: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(lines, known)
    asked = {"max_new_tokens": 5, "output_logits": True, "return_dict_in_generate": True}
    return printed.getvalue(), torch.cat(known["model"].generate(**known["asked"], **asked).logits)


base, root = sys.argv[1:]
done = {folder.name: follow(folder, base) for folder in Path(root).iterdir()}
Path("printed.json").write_text(json.dumps({name: printed for name, (printed, _) in done.items()}))
save_file({name: scores for name, (_, scores) in done.items()}, "scores.safetensors")
assert not [name for name in sys.modules if name.startswith("labkit.")]
