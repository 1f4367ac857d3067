"""The `defusion` command."""

from defusion.cli.main import app, main

__all__ = ["app", "main"]
