"""Random geometry on the workers: crops and flips of uint8 pictures, pairs kept aligned."""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from data_modules.photos import PhotoSource
from defusion.distributed import rank, world_size
from defusion.imageio import Picture
from defusion.random import generator

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or it asks the network for a newer version
import albumentations as A

_MAX_SEED = 2**31 - 1


class RandomGeometry:
    """A random crop with flips, the same for all pictures given; smaller ones are padded by reflection.

    Args:
        size: height and width of the crop, in pixels.
        flip: whether to flip, horizontally and vertically, each with probability one half.
    """

    def __init__(self, size: int, flip: bool = True) -> None:
        flips = [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)] if flip else []
        crop = A.RandomCrop(size, size, pad_if_needed=True, border_mode=cv2.BORDER_REFLECT_101)
        self._transform = A.Compose([crop, *flips], additional_targets={"second": "image"})

    def __call__(self, pictures: tuple[Picture, ...], chance: torch.Generator) -> tuple[Tensor, ...]:
        """Crops one picture, or the two of a pair, to uint8 (3, size, size), by the generator alone."""
        steps = self._transform.transforms
        seeds = torch.randint(_MAX_SEED, (len(steps),), generator=chance)
        for step, seed in zip(steps, seeds.tolist(), strict=True):  # `Compose` would give all the same,
            step.set_random_seed(seed)  # and crop and flips would follow one another
        return _apply(self._transform, pictures)


class CentreGeometry:
    """The crop in the middle, for all pictures given; smaller ones are padded by reflection."""

    def __init__(self, size: int) -> None:
        crop = A.CenterCrop(size, size, pad_if_needed=True, border_mode=cv2.BORDER_REFLECT_101)
        self._transform = A.Compose([crop], additional_targets={"second": "image"})

    def __call__(self, pictures: tuple[Picture, ...]) -> tuple[Tensor, ...]:
        """Crops one picture, or the two of a pair, to uint8 (3, size, size)."""
        return _apply(self._transform, pictures)


def _apply(transform: A.Compose, pictures: tuple[Picture, ...]) -> tuple[Tensor, ...]:
    names = ("image", "second")[: len(pictures)]
    cropped = transform(**dict(zip(names, pictures, strict=True)))
    return tuple(torch.from_numpy(np.array(cropped[name].transpose(2, 0, 1), order="C")) for name in names)


class CropDataset(Dataset[dict[str, Any]]):
    """Crops of clean photographs, each fixed by (seed, index): the same for any number of workers.

    Any index from 0 on is valid, so that every epoch can have its own; see `StepSampler`. Each run of
    `len(source)` indices shows each photograph once, in a random order.

    Args:
        source: the photographs.
        crop_size: height and width of a crop, in pixels.
        seed: of the order, the crops and the flips.
        length: crops in an epoch; by default one of each photograph.
        augment: True for random crops and flips. False, for validation: the photographs in their
            order, first the crop in the middle of each, then, from index `len(source)` on, random
            crops without flips.

    An item is {"hq": uint8 (3, crop_size, crop_size), "lq": the same, "index": int, "task": ""}; its lq
    is made from hq later, on the device.
    """

    def __init__(
        self,
        source: PhotoSource,
        crop_size: int,
        seed: int = 0,
        length: int | None = None,
        augment: bool = True,
    ) -> None:
        if crop_size < 1:
            raise ValueError(f"crop_size: expected at least 1, got {crop_size}")
        if length is not None and length < 1:
            raise ValueError(f"length: expected at least 1, got {length}")
        self.source = source
        self.crop_size = crop_size
        self.seed = seed
        self.length = length or len(source)
        self.augment = augment
        self._random = RandomGeometry(crop_size, flip=augment)
        self._centre = CentreGeometry(crop_size)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index < 0:
            raise IndexError(f"index: expected 0 or more, got {index}")
        run, position = divmod(index, len(self.source))
        if self.augment:
            position = _order(len(self.source), self.seed, run)[position]
        picture = (self.source[position],)
        if self.augment or run > 0:
            (hq,) = self._random(picture, generator(self.seed, index))
        else:
            (hq,) = self._centre(picture)
        return {"hq": hq, "lq": hq, "index": index, "task": ""}


@lru_cache(maxsize=4)
def _order(count: int, seed: int, run: int) -> list[int]:
    """The order of `count` photographs in one run through them."""
    return torch.randperm(count, generator=generator(seed, run, 1)).tolist()


class StepSampler(DistributedSampler[int]):
    """The next `length` indices of the endless sequence 0, 1, 2, ...

    Under torch.distributed each process takes every num_replicas-th index; being a DistributedSampler
    already, Lightning does not wrap it in another.

    Args:
        length: samples in an epoch, over all processes; what does not divide among them is dropped.
        done: how many samples each process has had since training began, over resumptions.
    """

    def __init__(self, length: int, done: Callable[[], int] = lambda: 0) -> None:
        self.rank, self.num_replicas = rank(), world_size()
        if length < self.num_replicas:
            raise ValueError(f"length: expected at least one for each of {self.num_replicas}, got {length}")
        self.length = length
        self.done = done

    def __len__(self) -> int:
        return self.length // self.num_replicas

    def __iter__(self) -> Iterator[int]:
        first = self.done() * self.num_replicas
        return iter(range(first + self.rank, first + len(self) * self.num_replicas, self.num_replicas))


class EachOnceSampler(DistributedSampler[int]):
    """Each index once over all processes: some have one more than others, and none is repeated to make them equal.

    Args:
        length: indices in all.
    """

    def __init__(self, length: int) -> None:
        self.rank, self.num_replicas = rank(), world_size()
        self.length = length

    def __len__(self) -> int:
        return len(range(self.rank, self.length, self.num_replicas))

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, self.length, self.num_replicas))
