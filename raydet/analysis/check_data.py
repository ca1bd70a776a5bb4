"""Scanning data sets for everything that would spoil a training."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from raydet.analysis.coco_source import CocoSource
from raydet.analysis.data_checks import check_entry
from raydet.analysis.data_sources import WRONG_DATA, DatasetSource, Source, TableSource, read_entry
from raydet.analysis.findings import Finding, Report, size_name
from raydet.config import Config, compat_cfg, update_data_root
from raydet.datasets import CocoDataset, build_dataset
from raydet.datasets.builder import split_section
from raydet.datasets.files import below
from raydet.engine.logging import get_logger
from raydet.engine.progress import Display
from raydet.registry import DATASETS

A = TypeVar("A")
B = TypeVar("B")


def check_config_data(
    cfg: Config,
    splits: Iterable[str] = ("train",),
    *,
    decode: bool = True,
    num_workers: int | None = None,
    max_examples: int = 5,
) -> list[Report]:
    """Scan the data of a config.

    Args:
        cfg: the config.
        splits: any of "train", "val" and "test".
        decode: also read and decode every image.
        num_workers: threads; the number of CPUs when None. Decoding runs in parallel in them.
        max_examples: of each kind of finding that are kept.

    Returns:
        A report for each innermost data set; all its images count, whatever training leaves out.

    Raises:
        ValueError: a split is not in the config.
    """
    cfg = compat_cfg(cfg)
    update_data_root(cfg)
    reports = []
    for split in splits:
        if cfg["data"].get(split) is None:
            raise ValueError(f"the config has no data.{split}")
        for section in split_section(cfg["data"][split]):
            report = Report(f"data.{split}: {section['type']} {section.get('ann_file', '')}".rstrip(), max_examples)
            scan(section, report, decode, num_workers)
            reports.append(report)
    return reports


def scan(section: Mapping[str, Any], report: Report, decode: bool = True, num_workers: int | None = None) -> None:
    """Scan one data set, given by its dict, into `report`."""
    source = _open(section, report)
    if source is None:
        return
    report.add(source.findings())
    display = Display(len(source), f"checking {report.name}", get_logger())

    def check(index: int) -> tuple[list[Finding], Any]:
        entry = read_entry(source, index)
        return list(check_entry(entry, source.file_client_args, decode)), entry.objects

    try:
        for findings, objects in _map_in_order(check, range(len(source)), num_workers or os.cpu_count() or 1):
            report.add(findings)
            _count(objects, report)
            display.advance()
    finally:
        display.close()


def _open(section: Mapping[str, Any], report: Report) -> Source | None:
    """The images and annotations of a data set, also of one that cannot be built."""
    plain = {**section, "pipeline": [], "test_mode": True}
    dataset = None
    try:
        dataset = build_dataset(plain)
    except WRONG_DATA as error:
        report.add([Finding("data set", str(error))])
    member: Any = DATASETS.get(section["type"])
    of_coco = isinstance(member, type) and issubclass(member, CocoDataset)
    if not (of_coco and str(section.get("ann_file")).endswith(".json")):
        return None if dataset is None else TableSource(dataset) if of_coco else DatasetSource(dataset)
    try:
        return _coco_source(plain, dataset, member)
    except WRONG_DATA as error:
        if dataset is not None:  # else it has been said
            report.add([Finding("data set", str(error))])
        return None


def _coco_source(section: Mapping[str, Any], dataset: Any, member: type[CocoDataset]) -> CocoSource:
    client = section.get("file_client_args", {"backend": "disk"})
    if dataset is not None:
        paths = {image_id: dataset.filename(i) for i, image_id in enumerate(dataset.img_ids)}
        return CocoSource(dataset.ann_file, paths, dataset.img_prefix, dataset.CLASSES, client)
    root = section.get("data_root")
    ann_file, prefix = (below(root, section.get(key) or "") for key in ("ann_file", "img_prefix"))
    return CocoSource(ann_file, {}, prefix, member.get_classes(section.get("classes")), client)


def _map_in_order(function: Callable[[A], B], items: Iterable[A], num_workers: int) -> Iterator[B]:
    """`map` in threads; a few items ahead of the reader, however many there are."""
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(num_workers) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 4 * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _count(objects: Iterable[Any], report: Report) -> None:
    report.num_images += 1
    for each in objects:
        report.num_objects += 1
        x1, y1, x2, y2 = each.box
        if not each.is_crowd:
            report.classes[each.name or f"unknown ({each.category})"] += 1
        if not each.is_crowd and math.isfinite(sum(each.box)):
            report.box_sizes[size_name(max(x2 - x1, 0) * max(y2 - y1, 0))] += 1
