"""What a terminal would show, as text."""

from __future__ import annotations

from rich.console import Console, RenderableType


def plain(shown: RenderableType) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()
