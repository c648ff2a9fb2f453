"""peft's AdaLoRA, with its penalty in the gradients only, and what it has to do after each step of a training.

budget   start  ------.
                       `.
                         `--.___
         rank                   `-----------------
         step 0     a tenth        half          the end
"""

from pathlib import Path
from typing import Any

import torch
from peft import AdaLoraModel
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from transformers import TrainerCallback

AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # of how much each number matters, as peft calls them
IMPORTANCE = "importance.safetensors"


class AdaLora(AdaLoraModel):  # type: ignore[misc]
    """A network whose target layers have A, B and the singular values E between them.

    peft's own adds the penalty that keeps A and B orthogonal to every loss, that of a validation too, which could not
    be compared with another method's then; and once it is loaded it fails where a loss is asked for.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the network gives; in training, the gradient of its loss is that of the loss and the penalty."""
        out = self.model(*args, **kwargs)
        if self.training and getattr(out, "loss", None) is not None:
            penalty = self.penalty()
            out.loss = out.loss + (penalty - penalty.detach())
        return out

    def penalty(self) -> Any:
        """Mean distance of A A^T and B^T B from the unit matrix, times its weight in the config."""
        name = self.trainable_adapter_name
        norms = []
        for path, weight in self.model.named_parameters():
            if path.endswith((f"lora_A.{name}", f"lora_B.{name}")):
                product = weight @ weight.T if "lora_A" in path else weight.T @ weight
                norms.append((product - torch.eye(len(product), device=product.device)).norm())
        return self.peft_config[name].orth_reg_weight * sum(norms) / len(norms)


class Allocation(TrainerCallback):  # type: ignore[misc]
    """Let the budget fall, step by step, and give it to the singular values that matter most.

    Before the end of the training peft's config does not say which values are left: a checkpoint then holds all of
    them, as Trainer needs it to go on. Those that were cut are 0 there, which is how they are known again.
    """

    def __init__(self, net: Any, steps: int):
        self.tuner, self.config = net.base_model, net.peft_config["default"]
        self.left: dict[str, list[bool]] | None = None  # what the step before left
        self.config.total_step = steps
        self.config.tinit = steps // 10  # the averages and the learning rate come up first
        # what is left is trained as long again; and a step comes before the last cut, or nothing is known by then
        self.config.tfinal = min(steps // 2, steps - 2)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the averages up again where a training goes on."""
        from safetensors.torch import load_file

        self.left = kept(self.tuner)
        file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / IMPORTANCE
        if file.is_file():
            for name, value in load_file(file, str(args.device)).items():
                kind, path = name.split(" ")
                getattr(self.tuner.rankallocator, kind)[path] = value

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Cut; Trainer calls this with the gradients still there."""
        self.config.rank_pattern = self.left
        self.tuner.update_and_allocate(state.global_step + 1)
        self.left, self.config.rank_pattern = self.config.rank_pattern, None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Add the budget to what is logged."""
        if "loss" in (logs or {}):
            logs["budget"], _ = self.tuner.rankallocator.budget_schedule(state.global_step)

    def save_to(self, folder: Path) -> None:
        """Put the averages into a checkpoint; Trainer knows nothing of them."""
        from safetensors.torch import save_file

        allocator = self.tuner.rankallocator
        averages = {f"{kind} {path}": value for kind in AVERAGES for path, value in getattr(allocator, kind).items()}
        save_file(averages, folder / IMPORTANCE)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell peft which values are left, so that no others are saved."""
        self.config.rank_pattern = kept(self.tuner)


def kept(tuner: Any) -> dict[str, list[bool]]:
    """Which singular values of each layer are left, by the names that peft's rank_pattern has."""
    return {
        name: (weight != 0).flatten().tolist()
        for name, weight in tuner.model.named_parameters()
        if name.endswith("lora_E.default")
    }


PEFT_TYPE_TO_TUNER_MAPPING["ADALORA"] = AdaLora
