"""Weights shared out over processes (FSDP2), for networks whose training fills a device; checkpoints stay whole."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.optim import Optimizer
from typing_extensions import override

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


@StrategyRegistry.register("sharded", description="weights shared out over processes (FSDP2), whole checkpoints")
class Sharded(ModelParallelStrategy):
    """`--trainer.strategy sharded`: each process keeps a part of every weight.

    And of its gradient, of the optimiser's state, and of the average. Lightning's own strategy for FSDP2, but for its
    checkpoints: they are those of any other training, written aside and checked, so that a training goes on with or
    without this strategy.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    @override
    def setup_environment(self) -> None:
        """All processes of all nodes share."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    @property
    @override
    def lightning_restore_optimizer(self) -> bool:
        return True

    @override
    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads it whole, in every process."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, map_location="cpu")

    @override
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Takes this process's part of each weight."""
        assert self.model is not None
        load_whole(self.model, checkpoint["state_dict"])

    @override
    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As `Optimizer.state_dict` of one process has it, on the first; nothing on the others."""
        optimizer = getattr(optimizer, "_optimizer", optimizer)
        assert self.model is not None
        found: dict[str, Any] = get_optimizer_state_dict(self.model, optimizer, options=_WHOLE)
        if not found:
            return {}
        numbers = {name: number for number, name in enumerate(_names(self.model, optimizer))}
        groups = [group | {"params": [numbers[name] for name in group["params"]]} for group in found["param_groups"]]
        return {"state": {numbers[name]: own for name, own in found["state"].items()}, "param_groups": groups}

    @override
    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes this process's part of what `optimizer_state` gave."""
        assert self.model is not None
        for optimizer, stored in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            names = _names(self.model, optimizer)
            groups = [group | {"params": [names[own] for own in group["params"]]} for group in stored["param_groups"]]
            state: Any = {
                "state": {names[number]: own for number, own in stored["state"].items()},
                "param_groups": groups,
            }
            set_optimizer_state_dict(self.model, optimizer, state, options=_WHOLE)


def share_out(parts: Iterable[nn.Module], mesh: DeviceMesh) -> None:
    """Shards parts of a network over the processes, each of which is whole while it computes.

    Args:
        parts: called by their `forward`, in any order; of a list of modules each is one.
        mesh: of the processes.
    """
    for part in parts:
        if isinstance(part, nn.ModuleList):
            share_out(part, mesh)
        elif not isinstance(part, FSDPModule) and any(True for _ in part.parameters()):
            part.to(memory_format=torch.contiguous_format)  # FSDP takes no other
            fully_shard(part, mesh=mesh, reshard_after_forward=True)


def hold(module: nn.Module, whole: bool) -> None:
    """Keeps what is shared out whole in every process, or no longer: processes may then compute unlike one another.

    Weights are to be changed while they are shared out alone.
    """
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.set_reshard_after_forward(not whole)
            if whole:
                part.unshard()
            else:
                part.reshard()


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """Its state with whole tensors, on the first process; nothing on the others; every process has to ask."""
    state: dict[str, Any] = get_model_state_dict(module, options=_WHOLE)
    return state


def load_whole(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Takes this process's part of each whole tensor."""
    set_model_state_dict(module, dict(state), options=_WHOLE)


def _names(module: nn.Module, optimizer: Optimizer) -> list[str]:
    """Of the optimiser's parameters in the order of its numbers."""
    names = {id(own): name for name, own in module.named_parameters()}
    return [names[id(own)] for group in optimizer.param_groups for own in group["params"]]
