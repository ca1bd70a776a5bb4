"""The `raydet` command."""

from raydet.cli.app import main

__all__ = ["main"]
