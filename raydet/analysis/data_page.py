"""Reports of scanned data sets as text and as one HTML page with pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from raydet.analysis.findings import ERRORS, KINDS, SIZE_NAMES, Finding, Report
from raydet.search.report.document import document
from raydet.transforms import read_image
from raydet.visualization import Objects, Style, draw_objects

PICTURE_SIDE = 320
"""Pixels of the longer side of a picture on the page."""


def text_report(report: Report) -> str:
    """A report for the terminal."""
    lines = [report.name, f"  {report.num_images} images, {report.num_objects} objects, {report.num_errors} errors"]
    for kind in KINDS:
        if report.counts[kind]:
            mark = "X" if kind in ERRORS else "!"
            lines.append(f"{mark} {kind}: {report.counts[kind]} ({KINDS[kind]})")
            lines += [f"    {each.image or ''} {each.message}".rstrip() for each in report.examples[kind]]
    lines += ["  objects by class:", *_text_bars(dict(report.classes.most_common()))]
    lines += ["  boxes by square root of area:", *_text_bars({name: report.box_sizes[name] for name in SIZE_NAMES})]
    return "\n".join(lines)


def _text_bars(values: Mapping[str, int]) -> Iterator[str]:
    width = max(map(len, values), default=0)
    largest = max(values.values(), default=0) or 1
    for name, value in values.items():
        yield f"    {name:<{width}} {value:>8} {'#' * round(40 * value / largest)}"


def html_page(reports: Sequence[Report]) -> str:
    """All reports on a page that needs no other file."""
    body = "".join(part for report in reports for part in _section(report))
    return document("Data check", body)


def _section(report: Report) -> Iterator[str]:
    yield f"<h2>{html.escape(report.name)}</h2>"
    yield f"<p>{report.num_images} images, {report.num_objects} objects, {report.num_errors} errors</p>"
    for kind in (each for each in KINDS if report.counts[each]):
        css = "error" if kind in ERRORS else "note"
        yield f"<h3 class='{css}'>{kind}: {report.counts[kind]}</h3><p>{KINDS[kind]}</p>"
        yield from map(_figure, report.examples[kind])
    yield f"<h3>Objects by class</h3>{_bars(dict(report.classes.most_common()))}"
    yield f"<h3>Boxes by square root of area, in pixels</h3>{_bars({n: report.box_sizes[n] for n in SIZE_NAMES})}"


def _bars(values: Mapping[str, int]) -> str:
    largest = max(values.values(), default=0) or 1
    rows = (
        f"<tr><td>{html.escape(name)}<td>{value}"
        f"<td><span class='bar' style='width:{400 * value / largest:.0f}px'></span>"
        for name, value in values.items()
    )
    return f"<table>{''.join(rows)}</table>"


def _figure(finding: Finding) -> str:
    picture = _picture(finding)
    image = "" if picture is None else f"<img alt='' src='data:image/jpeg;base64,{picture}'>"
    name = "" if finding.image is None else f"<b>{html.escape(finding.image)}</b><br>"
    return f"<figure>{image}<figcaption>{name}{html.escape(finding.message)}</figcaption></figure>"


def _picture(finding: Finding) -> str | None:
    """The image with the box in question, small, as base64; None where it cannot be shown."""
    if finding.image is None:
        return None
    try:
        image = read_image(finding.image)
    except (OSError, ValueError):
        return None
    scale = PICTURE_SIDE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    if finding.box is not None:
        boxes = np.array([finding.box], np.float32) * scale
        image = draw_objects(image, Objects(boxes, np.array([-1])), style=Style(thickness=2, box_color=(255, 0, 0)))
    _, encoded = cv2.imencode(".jpg", image)
    return base64.b64encode(encoded.tobytes()).decode()
