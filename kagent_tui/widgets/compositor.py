"""Paints the lines that changed, and of them the cells that changed.

Textual asks every widget for every line when one line of one widget is dirty, and writes a dirty line from its
beginning: half the cost of a row's update, and most of its bytes. This is the same compositor with both cut down to
what is dirty. It stands on Textual's private parts: a test holds what it paints against Textual's own.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip

__all__ = ["NarrowCompositor"]


class NarrowCompositor(Compositor):
    """The compositor of one screen."""

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if crop is None:
            yield from super()._get_renders()
            return
        for widget, (region, clip) in self.visible_widgets.items():
            # Whole lines: a crop in width as well would leave the chops beside it empty.
            band = clip.intersection(Region(clip.x, crop.y, clip.width, crop.height))
            x, y, width, height = region.intersection(band)
            if width and height:
                yield region, band, widget.render_lines(Region(x - region.x, y - region.y, width, height))

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        return None if update is None else _Cells(update.chops, update.spans, update.chop_ends)


class _Cells(ChopsUpdate):
    """An update that writes the spans that are dirty and nothing before them."""

    def render_segments(self, console: Console) -> str:
        written: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, first), min(end, last)
                if strip is not None and left < right:
                    written += (Control.move_to(left, y).segment.text, strip.crop(left - x, right - x).render(console))
        return "".join(written)
