"""The order of samples, as pure functions of seed, epoch and world size. Indices are shuffled, never pixels.

The streams are those of the 2.x samplers, number by number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch


def generator_of(seed: int) -> torch.Generator:
    """A random generator of its own."""
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def permutation(count: int, generator: torch.Generator) -> np.ndarray:
    """`(count,)` int64, the numbers below `count` shuffled."""
    return torch.randperm(count, generator=generator).numpy()


def grouped_order(flag: np.ndarray, samples_per_batch: int, world_size: int, generator: torch.Generator) -> np.ndarray:
    """All batches of all ranks, one group of images (by `flag`) in each batch.

    Groups are filled up with their own first samples until they divide into batches for every rank.

    Returns:
        `(S,)` int64; rank r takes the r-th of `world_size` equal parts.
    """
    step = samples_per_batch * world_size
    parts = [np.empty(0, np.int64)]
    for group in np.unique(flag):
        members = np.flatnonzero(flag == group)
        members = members[permutation(len(members), generator)]
        parts.append(np.resize(members, -(-len(members) // step) * step))
    batches = np.concatenate(parts).reshape(-1, samples_per_batch)
    return np.asarray(batches[permutation(len(batches), generator)].reshape(-1))


def plain_order(count: int, world_size: int, generator: torch.Generator | None) -> np.ndarray:
    """All samples, filled up from the front to a multiple of `world_size`; rank r takes every `world_size`-th.

    Args:
        count: number of samples.
        world_size: number of ranks.
        generator: shuffles; None keeps the order.
    """
    indices = np.arange(count) if generator is None else permutation(count, generator)
    return np.resize(indices, -(-count // world_size) * world_size) if count else indices


def class_aware_order(
    images_of: Mapping[int, Sequence[int]], total: int, samples_per_class: int, generator: torch.Generator
) -> np.ndarray:
    """Draw a class, then images that show it, again and again; classes and images each in shuffled rounds.

    Args:
        images_of: positions of the images of each class; classes without images are passed over.
        total: how many samples.
        samples_per_class: how many images for each class drawn.
        generator: draws.
    """
    classes = [label for label, images in images_of.items() if len(images)]
    if not classes:
        raise ValueError("class-aware sampling needs images with objects, the data set has none")
    next_class = _rounds(classes, generator)
    next_image = {label: _rounds(images_of[label], generator) for label in classes}
    drawn: list[int] = []
    rounds = -(-total // (len(classes) * samples_per_class))
    for _ in range(rounds * len(classes)):
        images = next_image[next(next_class)]
        drawn += [next(images) for _ in range(samples_per_class)]
    return np.array(drawn[:total], np.int64)


def _rounds(items: Sequence[int], generator: torch.Generator) -> Iterator[int]:
    """Endless: all items in shuffled order, then all in another.

    As in 2.x each order is drawn before it is needed: the first at once, the next with the last item of the one before.
    """
    first = permutation(len(items), generator)

    def turn(order: np.ndarray) -> Iterator[int]:
        while True:
            for position in order[:-1]:
                yield items[position]
            last, order = order[-1], permutation(len(items), generator)
            yield items[last]

    return turn(first)


def infinite_order(count: int, seed: int, shuffle: bool) -> Iterator[int]:
    """Endless: all samples again and again, each round shuffled anew."""
    generator = generator_of(seed)
    while True:
        yield from (permutation(count, generator) if shuffle else np.arange(count)).tolist()


def endless_order(
    flag: np.ndarray, samples_per_batch: int, place: tuple[int, int], batches: slice, seed: int
) -> np.ndarray:
    """A stretch of the endless batches of one rank, one group of images (by `flag`) in each.

    The shuffled rounds of `infinite_order` are dealt out to the ranks; a batch is full when a rank has got enough
    samples of one group.

    Args:
        flag: group of each sample.
        samples_per_batch: on one rank.
        place: (rank, world size).
        batches: start and stop.
        seed: the same on all ranks.

    Returns:
        `(batches * samples_per_batch,)` int64.
    """
    (rank, world_size), step, groups = place, samples_per_batch, np.unique(flag)
    enough = batches.stop * step + len(groups) * (step - 1)
    generator = generator_of(seed)
    rounds = [permutation(len(flag), generator) for _ in range(-(-enough * world_size // len(flag)))]
    own = np.concatenate(rounds)[rank::world_size]
    places = [np.flatnonzero(flag[own] == group) for group in groups]
    full = np.concatenate([each[: len(each) // step * step].reshape(-1, step) for each in places])
    return np.asarray(own[full[np.argsort(full[:, -1])][batches]].reshape(-1), np.int64)


def flags_of(dataset: Any) -> np.ndarray:
    """The group of each sample; one group for data sets without `flag`."""
    flag = getattr(dataset, "flag", None)
    return np.zeros(len(dataset), np.uint8) if flag is None else np.asarray(flag)
