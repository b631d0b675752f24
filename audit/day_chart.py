"""A chart of counts a day and kind: stacked bars as inline SVG. Of more than three months, the bars are months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from memfold.verifier.html import Html, tag

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 900, 240, 44, 24, 26
MOST_DAYS = 92
# Told apart in grey print too: they differ in lightness.
COLOURS = ["#1f4e79", "#e0a030", "#b3392f", "#7fb3d5", "#9aa0a6"]
Counts = Mapping[tuple[date, str], int]


def day_chart(counts: Counts, kinds: Sequence[str], *, title: str, none: str) -> Html:
    """The figure of counts by (day, kind), the kinds from the bottom up, at most five; `none`: what is said where there is nothing."""
    days = [day for day, _ in counts]
    if not days:
        return tag("p", none)
    monthly = (max(days) - min(days)).days >= MOST_DAYS
    bars = (
        _months(days)
        if monthly
        else [min(days) + timedelta(number) for number in range((max(days) - min(days)).days + 1)]
    )
    heights: dict[tuple[date, str], int] = {}
    for (day, kind), count in counts.items():
        bar = day.replace(day=1) if monthly else day
        heights[bar, kind] = heights.get((bar, kind), 0) + count
    top = max(sum(heights.get((bar, kind), 0) for kind in kinds) for bar in bars)
    parts = [*_axis(top), *_bars(bars, kinds, heights, top), *_dates(bars, monthly), *_legend(kinds)]
    what = f"{title} by {'month' if monthly else 'day'} and kind"
    view = (
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{what}" font-size="11" font-family="inherit"'
    )
    return tag(
        "figure", tag("svg", *parts, attributes=view), tag("figcaption", what, attributes='class="lead"')
    )


def _months(days: Sequence[date]) -> list[date]:
    first, last = min(days), max(days)
    span = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(month // 12, month % 12 + 1, 1) for month in span]


def _y(count: float, top: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * count / top


def _bars(bars: Sequence[date], kinds: Sequence[str], heights: Counts, top: int) -> list[Html]:
    step = (WIDTH - LEFT) / len(bars)
    width, found = min(step * 0.8, 60), list[Html]()
    for number, bar in enumerate(bars):
        below = 0
        for kind, colour in zip(kinds, COLOURS, strict=False):
            count = heights.get((bar, kind), 0)
            if count:
                x, y, height = (
                    LEFT + step * (number + 0.5) - width / 2,
                    _y(below + count, top),
                    _y(0, top) - _y(count, top),
                )
                place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"'
                found.append(tag("rect", _title(f"{bar.isoformat()} {kind}: {count}"), attributes=place))
            below += count
    return found


def _title(text: str) -> Html:
    return Html(f"<title>{text}</title>")


def _text(text: str, x: float, y: float, anchor: str) -> Html:
    """Of ours only: numbers, dates and names of kinds."""
    return Html(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#4b5563">{text}</text>')


def _axis(top: int) -> list[Html]:
    found: list[Html] = []
    for count in sorted({0, (top + 1) // 2, top}):
        y = _y(count, top)
        found.append(Html(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d5d9e0"/>'))
        found.append(_text(str(count), LEFT - 6, y + 4, "end"))
    return found


def _dates(bars: Sequence[date], monthly: bool) -> list[Html]:
    step, every = (WIDTH - LEFT) / len(bars), -(-len(bars) // 9)
    shown = [(number, bar) for number, bar in enumerate(bars) if number % every == 0]
    return [
        _text(
            f"{bar:%Y-%m}" if monthly else bar.isoformat(), LEFT + step * (number + 0.5), HEIGHT - 6, "middle"
        )
        for number, bar in shown
    ]


def _legend(kinds: Sequence[str]) -> list[Html]:
    found: list[Html] = []
    for number, (kind, colour) in enumerate(zip(kinds, COLOURS, strict=False)):
        x = LEFT + number * 160
        found.append(Html(f'<rect x="{x}" y="4" width="11" height="11" fill="{colour}"/>'))
        found.append(_text(kind, x + 16, 14, "start"))
    return found
