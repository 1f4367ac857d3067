"""Endless pictures from a streamed data set, dealt out to readers; each reader can go on where another stopped."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from data_modules.crops import RandomGeometry
from data_modules.hub import choose_split, image_column, usable
from data_modules.pairs import PairMixture
from data_modules.splits import is_held_out
from data_modules.tables import load_splits, undecoded
from defusion.distributed import rank, world_size
from defusion.imageio import ImageError, Picture, decode_image
from defusion.random import generator

if TYPE_CHECKING:
    import datasets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mark:
    """Where a reader stands: at the beginning of a window of pictures, and how many of these it has given."""

    turn: int = 0
    """Passes through the data set that are over."""
    place: int = 0
    """Shards of this pass that are over."""
    row: int = 0
    """Rows of this pass that were read."""
    state: dict[str, Any] | None = None
    """Of `datasets`, from which the shard is opened without reading what was read."""
    window: int = 0
    """Windows that are over."""
    used: int = 0
    """Pictures of this window that were given or passed over."""
    skipped: int = 0
    """Rows passed over so far, because they are damaged or too small."""


class PictureStream:
    """The training pictures of a data set without its length or a download, over and over.

    Several readers share the stream: each has shards of its own, in each pass those that another had before, or, where
    there are fewer shards than readers, every so many-th row of all. A reader shuffles the undecoded bytes of `window`
    pictures of a pass at a time; no more is in memory.

    Args:
        name: of a data set, as for `data_modules.hub.HubPhotos`; without a validation split, the tenth that is held out
            is chosen by content.
        column: of the pictures; by default the only one of an image type.
        min_size: least height and width, in pixels.
        seed: of the order.
        window: pictures that are shuffled together.

    Raises:
        ValueError: the data set cannot be loaded, or has no such column, or several.
    """

    def __init__(
        self, name: str, column: str | None = None, min_size: int = 1, seed: int = 0, window: int = 256
    ) -> None:
        if window < 1:
            raise ValueError(f"window: expected at least 1, got {window}")
        stream, self._is_whole = choose_split(load_splits(name, streaming=True), "train")
        self._column = image_column(name, stream.features, column)
        self._stream: datasets.IterableDataset = undecoded(stream.select_columns([self._column]), self._column)
        self._name, self._min_size, self._seed, self._window = name, min_size, seed, window
        self._lost_shards = 0
        self._reason = ""
        """Of the last one."""

    def read(self, reader: int = 0, readers: int = 1, mark: Mark = Mark()) -> Iterator[tuple[Picture, Mark]]:
        """Pictures without end, uint8 (H, W, 3), each with the mark from which reading goes on after it.

        Raises:
            ValueError: when this reader found no usable picture in all shards.
        """
        rows = self._rows(reader, readers, mark)
        skipped = mark.skipped
        here = mark
        is_found = mark.row > 0 or mark.used > 0
        in_vain = 0
        """Passes, one after another."""
        while True:
            begin, window = here, list[bytes]()
            while len(window) < self._window:
                data, here = next(rows)
                if data is not None:
                    window.append(data)
                elif here.row == 0:
                    break
                elif not mark.used:  # the rows of a window that is read again were counted
                    skipped = self._passed_over(skipped)
            order = torch.randperm(len(window), generator=generator(self._seed, reader, begin.window)).tolist()
            for used in range(mark.used, len(order)):
                try:
                    picture = decode_image(window[order[used]], self._name)
                except ImageError:
                    skipped = self._passed_over(skipped)
                    continue
                is_found = True
                yield picture, replace(begin, used=used + 1, skipped=skipped)
            if here.row == 0:  # a pass is over
                in_vain = 0 if is_found else in_vain + 1
                if in_vain == (readers if self._has_own(readers) else 1):
                    raise ValueError(
                        f"data set {self._name!r}: no usable picture of {self._min_size} px or more for reader "
                        f"{reader + 1} of {readers}{self._reason and f'; of the last shard: {self._reason}'}"
                    )
                is_found = False
            here = replace(here, window=begin.window + 1)
            mark = Mark()

    def _rows(self, reader: int, readers: int, mark: Mark) -> Iterator[tuple[bytes | None, Mark]]:
        """The rows of a reader and the marks behind them; None for those that cannot be used, and behind each pass."""
        num_shards = self._stream.num_shards
        has_own = self._has_own(readers)
        dealt = torch.randperm(num_shards, generator=generator(self._seed))
        for turn in count(mark.turn):
            hand = dealt[(reader + turn) % readers :: readers] if has_own else dealt
            own = hand[torch.randperm(len(hand), generator=generator(self._seed, turn))].tolist()
            start = mark if turn == mark.turn else Mark()
            row = start.row
            for place in range(start.place, len(own)):
                shard = self._stream.shard(num_shards, own[place])
                if place == start.place and start.state is not None:
                    shard.load_state_dict(start.state)
                for content in self._contents(shard):
                    row += 1
                    if not has_own and row % readers != reader:
                        continue
                    data = usable(content[self._column][0], self._min_size, self._name)
                    if data is not None and not self._is_whole and is_held_out(data):
                        continue
                    yield data, Mark(turn, place, row, shard.state_dict())
            yield None, Mark(turn + 1)

    def _contents(self, shard: "datasets.IterableDataset") -> Iterator[dict[str, Any]]:
        """The rows of a shard, each as a batch of one, as far as it can be read."""
        try:
            yield from shard.iter(batch_size=1)
        except MemoryError:
            raise
        except Exception as error:  # of the many that networks and file formats raise
            self._reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            self._lost_shards += 1
            if _is_told(self._lost_shards):
                text = "data set %r: %d shards that cannot be read passed over so far, the last by %s"
                log.warning(text, self._name, self._lost_shards, self._reason)

    def _has_own(self, readers: int) -> bool:
        """Whether each reader has shards of its own."""
        return self._stream.num_shards >= readers

    def _passed_over(self, skipped: int) -> int:
        skipped += 1
        if _is_told(skipped):
            log.warning("data set %r: %d damaged or small pictures passed over so far", self._name, skipped)
        return skipped


def _is_told(count: int) -> bool:
    return count in (1, 10, 100) or count % 1000 == 0


class StreamedCrops(IterableDataset[dict[str, Any]]):
    """Crops of streamed pictures for a loader whose workers take turns; what a batch is depends on its number alone.

    Each worker of each process is a reader of the stream. Batches carry marks; `note` keeps those of batches that were
    used (a loader is ahead of them), and an iteration begins where they say. Items are those of
    `data_modules.crops.CropDataset`, with the mark.

    Args:
        stream: the pictures.
        crop_size: height and width of a crop, in pixels.
        batch_size: of the loader.
        steps: batches of an epoch, for each process.
        workers: of the loader; at least one reader, without any too.
        seed: of crops and flips.
        mixture: says which samples are of real pairs; None for none.
    """

    def __init__(
        self,
        stream: PictureStream,
        crop_size: int,
        batch_size: int,
        steps: int,
        workers: int,
        seed: int = 0,
        mixture: PairMixture | None = None,
    ) -> None:
        self.stream = stream
        self.batch_size = batch_size
        self.steps = steps
        self.workers = max(1, workers)
        self.seed = seed
        self.mixture = mixture
        self.done = 0
        """Batches that this process has used, also before an interruption."""
        self._marks: dict[int, Mark] = {}
        self._geometry = RandomGeometry(crop_size)
        self._rank, self._num_replicas = rank(), world_size()

    def __len__(self) -> int:
        return self.steps * self.batch_size

    @property
    def readers(self) -> int:
        """Workers of all processes."""
        return self._num_replicas * self.workers

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        first = self.done + (worker.id if worker else 0)
        reader = self._reader(first)
        mark = self._marks.get(reader, Mark())
        pictures = self.stream.read(reader, self.readers, mark)
        for batch in range(first, self.done + self.steps, self.workers):
            for place in range(self.batch_size):
                index = (batch * self.batch_size + place) * self._num_replicas + self._rank
                item = self.mixture(index) if self.mixture else None
                if item is None:
                    picture, mark = next(pictures)
                    (hq,) = self._geometry((picture,), generator(self.seed, index))
                    item = {"hq": hq, "lq": hq, "index": index, "task": ""}
                yield item | {"mark": json.dumps(asdict(mark))}

    def note(self, marks: list[str]) -> None:
        """Takes the marks of the next batch as used."""
        self._marks[self._reader(self.done)] = Mark(**json.loads(marks[-1]))
        self.done += 1

    def state_dict(self) -> dict[str, Any]:
        """Where all readers of all processes stand; every process must ask at the same time."""
        own: dict[str, Any] = {str(reader): asdict(mark) for reader, mark in self._marks.items()}
        parts = [own]
        if self._num_replicas > 1:
            parts = [{} for _ in range(self._num_replicas)]
            torch.distributed.all_gather_object(parts, own)
        return {
            "samples": self.done * self.batch_size * self._num_replicas,
            "readers": self.readers,
            "marks": {key: v for part in parts for key, v in part.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there; with another number of readers, from the beginning of the next pass.

        From a place in other data, which has no marks, from the beginning of the stream.
        """
        self.done = -(-state["samples"] // (self.batch_size * self._num_replicas))
        marks = {int(reader): Mark(**mark) for reader, mark in state.get("marks", {}).items()}
        if state.get("readers", self.readers) != self.readers:
            turn = 1 + max((mark.turn for mark in marks.values()), default=-1)
            log.warning(
                "the stream was read by %d workers, and now by %d: it goes on with a new pass through the data set; "
                "the place is kept by the same --data.workers and number of processes",
                state["readers"],
                self.readers,
            )
            marks = {reader: Mark(turn=turn) for reader in range(self.readers)}
        self._marks = marks

    def _reader(self, batch: int) -> int:
        """Who makes a batch of this process."""
        return self._rank * self.workers + batch % self.workers
