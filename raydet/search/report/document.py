"""The frame of pages that need no other file: style and scripts stand inside."""

from __future__ import annotations

import html
from pathlib import Path

HERE = Path(__file__).parent


def document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """A whole page.

    Args:
        title: plain text, of the window and of the first heading.
        body: HTML below the heading.
        style: CSS beside that of all pages.
        script: JavaScript that runs when the body is there.
    """
    shown = html.escape(title)
    return (
        "<!doctype html>\n<html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'><link rel='icon' href='data:,'>"
        f"<title>{shown}</title><style>{part('document.css')}{style}</style>"
        f"<h1>{shown}</h1>{body}{f'<script>{script}</script>' if script else ''}</html>\n"
    )


def part(name: str) -> str:
    """A file of styles or scripts that stands beside this one."""
    return (HERE / name).read_text(encoding="utf-8")
