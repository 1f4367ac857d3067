"""The optimisers, the learning-rate schedule, and the module that has them."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from defusion.distributed import whole

OptimizerName: TypeAlias = Literal["muon", "adamw", "adam"]
"""Muon (hidden matrices orthogonalised, AdamW for the rest), AdamW (0.9, 0.99), or the paper's Adam (0.9, 0.999)."""

_OPTIMIZER = "optimizer"
"""Of a checkpoint: the name of its optimiser."""
_MOMENTUM = 0.95
_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration (Jordan et al., 2024)."""
_ITERATIONS = 5
_RMS = 0.2
"""Root mean square of an update at rate 1, that of AdamW in practice (Liu et al., 2025)."""


class Muon(Optimizer):
    """Muon for hidden matrices and convolution kernels, AdamW for the rest, as one optimiser.

    Muon (Jordan et al., 2024) replaces the momentum of a matrix by the nearest orthogonal matrix: rare
    directions, such as those of one task among eleven, move as far as frequent ones. Kernels count as matrices
    (out, in k k). Updates have the size of AdamW's, so that both share one learning rate. (torch.optim.Muon takes
    2-D parameters alone, and one after the other; those of one shape go together here.)

    Args:
        matrices: weights of hidden layers, two or more dimensions.
        others: first and last layers, embeddings, biases.
        lr: learning rate.
        weight_decay: decoupled, of both.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], others: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0
    ) -> None:
        self._adam = adamw(others, lr, weight_decay)
        super().__init__([{"params": list(matrices)}], {"lr": lr, "weight_decay": weight_decay})
        self.param_groups += self._adam.param_groups

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the closure, if any, computes the loss and the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group, *rest = self.param_groups
        shapes: dict[tuple[int, ...], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                update = self._momentum(parameter)
                shapes[tuple(update.shape)].append((parameter, update))
        for shape, members in shapes.items():
            updates = orthogonalised(torch.stack([update.flatten(1) for _, update in members]))
            rate = group["lr"] * _RMS * math.sqrt(max(updates.shape[1:]))
            for (parameter, _), update in zip(members, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(update.view(shape), alpha=rate)
        # One state and one list of groups for both, also after they were loaded.
        self._adam.state, self._adam.param_groups = self.state, rest
        self._adam.step()
        return loss

    def _momentum(self, parameter: nn.Parameter) -> Tensor:
        """Nesterov's, of the gradient."""
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(state["momentum"], _MOMENTUM)


def adamw(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0) -> torch.optim.AdamW:
    """AdamW (0.9, 0.99), fused."""
    return torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True)


def orthogonalised(x: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrices, roughly: singular values end in [0.7, 1.2].

    Newton-Schulz iteration of the fifth order, in bfloat16 where the device computes in it.

    Args:
        x: (M, rows, columns).

    Returns:
        The same shape, float32.
    """
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()


def warmup_cosine(optimizer: Optimizer, warmup_steps: int, total_steps: float, final: float = 0.0) -> LambdaLR:
    """Linear warm-up, then cosine decay to `final` times the peak rate at `total_steps`.

    Step it once an optimiser step. Without an end (`total_steps` infinite) the rate stays at its peak.
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if math.isinf(total_steps) or total_steps <= warmup_steps:
            return 1.0
        progress = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def named_optimizer(
    name: OptimizerName,
    trained: Sequence[nn.Parameter],
    hidden: Sequence[nn.Parameter],
    learning_rate: float,
    weight_decay: float = 0.0,
) -> Optimizer:
    """An optimiser over all of `trained`; Muon orthogonalises those of them that are `hidden`."""
    if name == "adam":
        return torch.optim.Adam(trained, learning_rate, (0.9, 0.999), weight_decay=weight_decay, fused=True)
    if name == "adamw":
        return adamw(trained, learning_rate, weight_decay)
    if not hidden:
        raise ValueError("optimizer: muon orthogonalises hidden matrices, and this network names none: take adamw")
    others = [parameter for parameter in trained if all(parameter is not own for own in hidden)]
    return Muon(hidden, others, learning_rate, weight_decay)


def lay_out(optimizer: Optimizer) -> None:
    """Lays the state of each parameter out in memory as the parameter is, for which fused optimisers do not look.

    A checkpoint may come from a training with another layout, see `channels_last` and `defusion.sharding`.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter).copy_(value)


class OptimizedModule(LightningModule):
    """A module with one optimiser over all that learns: linear warm-up, cosine decay over the whole run, clipping.

    Args:
        optimizer: see `OptimizerName`.
        learning_rate: peak rate.
        final_learning_rate: at the end of the run.
        warmup_steps: of linear warm-up.
        weight_decay: decoupled.
        gradient_clip: largest norm of the gradient (the trainer's own clipping refuses fused optimisers).
    """

    def __init__(
        self,
        optimizer: OptimizerName,
        learning_rate: float,
        final_learning_rate: float,
        warmup_steps: int,
        weight_decay: float,
        gradient_clip: float,
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.warmup_steps = warmup_steps
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices and kernels of hidden layers, which Muon orthogonalises."""
        raise NotImplementedError

    def trained(self) -> list[nn.Parameter]:
        """All that learns."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def configure_optimizers(self) -> Any:
        """The optimiser and its schedule, stepped once an optimiser step."""
        optimizer = named_optimizer(
            self.optimizer, self.trained(), self.hidden_weights(), self.learning_rate, self.weight_decay
        )
        optimizer.register_load_state_dict_post_hook(lay_out)
        steps = self.trainer.estimated_stepping_batches
        final = self.final_learning_rate / self.learning_rate
        scheduler = warmup_cosine(optimizer, self.warmup_steps, steps, final)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Notes the optimiser."""
        checkpoint[_OPTIMIZER] = self.optimizer

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses one of another optimiser, whose state would not fit."""
        found = checkpoint.get(_OPTIMIZER, self.optimizer)
        if found != self.optimizer:
            raise ValueError(
                f"model.optimizer: expected {found}, with which the checkpoint was trained, got {self.optimizer}: go "
                "on with it, or begin from weights (model.start)"
            )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips the gradient and logs its norm."""
        self.log("train/gradient_norm", whole(nn.utils.clip_grad_norm_(self.trained(), self.gradient_clip)))
