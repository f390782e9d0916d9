"""Plots as SVG that takes its colours from the page's classes, light or dark."""

from collections.abc import Sequence
from datetime import date, timedelta

from models.evaluation.bootstrap import Interval
from models.plots import rounded_up
from service.reporting.elements import Html, html, number, percent

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 540, 180, 58, 12, 14, 26
WIDE = 900
_TICKS = 4
_ROW, _NAMES, _MARGIN = 30, 290, 40
_WIDEST = 2.0
"""Lifts beyond ±200 % end at the edge: one of them must not hide the others."""


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> Html:
    return Html(
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html(label)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html(text)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" class="{kind}"/>'


def _scale(value: float, most: float) -> float:
    """The height of a value on the paper."""
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most


def _grid(most: float) -> list[str]:
    parts = []
    for tick in range(_TICKS + 1):
        value = most * tick / _TICKS
        y = _scale(value, most)
        parts += [
            _line(LEFT, y, WIDTH - RIGHT, y, "grid"),
            _text(LEFT - 8, y + 4, number(value), "end"),
        ]
    return parts


def daily(days: Sequence[date], counts: Sequence[float], what: str) -> Html:
    """A bar for each day."""
    most = rounded_up(max(counts, default=0.0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    parts = _grid(most)
    for place, (day, count) in enumerate(zip(days, counts, strict=True)):
        y = _scale(count, most)
        parts.append(
            f'<rect x="{LEFT + step * place + step * 0.1:.1f}" y="{y:.1f}" width="{step * 0.8:.1f}" '
            f'height="{HEIGHT - BOTTOM - y:.1f}" class="fill"><title>{day}: {count:,.0f}</title></rect>'
        )
    every = max(1, -(-len(days) // 7))
    parts += [
        _text(LEFT + step * (place + 0.5), HEIGHT - 8, f"{days[place]:%d %b}", "middle")
        for place in range(0, len(days), every)
    ]
    return _svg(WIDTH, HEIGHT, f"{what} by day", parts)


def path_to_target(
    begins: date, ends: date, days: Sequence[float], target: float, forecast: Interval | None
) -> Html:
    """What has added up day by day, where it is expected to go, and the target."""
    length = max(1, (ends - begins).days)
    reached = [0.0]
    for day in days:
        reached.append(reached[-1] + day)
    most = rounded_up(max([target, reached[-1], forecast.high if forecast else 0.0]) * 1.02)

    def at(day: float, value: float) -> tuple[float, float]:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(day, length) / length, _scale(value, most)

    parts = _grid(most)
    now, here = at(len(days), reached[-1])
    if forecast is not None:
        (end, high), (_, low), (_, middle) = (
            at(length, value) for value in (forecast.high, forecast.low, forecast.value)
        )
        parts += [
            f'<polygon points="{now:.1f},{here:.1f} {end:.1f},{high:.1f} {end:.1f},{low:.1f}" class="fan"/>',
            _line(now, here, end, middle, "dashed"),
        ]
    points = " ".join("{:.1f},{:.1f}".format(*at(day, value)) for day, value in enumerate(reached))
    _, goal = at(0, target)
    parts += [
        f'<polyline points="{points}" class="line"/>',
        _line(LEFT, goal, WIDTH - RIGHT, goal, "goal"),
        _text(LEFT + 6, goal - 5, f"target {number(target)}"),
        _text(LEFT, HEIGHT - 8, f"{begins:%d %b %Y}"),
        _text(WIDTH - RIGHT, HEIGHT - 8, f"{ends - timedelta(days=1):%d %b %Y}", "end"),
    ]
    return _svg(WIDTH, HEIGHT, f"The way to {number(target)}", parts)


def forest(rows: Sequence[tuple[str, Interval]], what: str) -> Html:
    """An interval for each name, around a line at 0; shares in percent."""
    height = TOP + _ROW * len(rows) + BOTTOM
    edge = min(_WIDEST, rounded_up(max(max(abs(found.low), abs(found.high)) for _, found in rows)))
    middle = (_NAMES + WIDE - _MARGIN) / 2

    def at(value: float) -> float:
        return middle + (WIDE - _MARGIN - middle) * max(-edge, min(edge, value)) / edge

    floor = height - BOTTOM
    parts = [_line(at(tick), TOP, at(tick), floor, "grid") for tick in (-edge, -edge / 2, edge / 2, edge)]
    parts.append(_line(middle, TOP, middle, floor, "zero"))
    for place, (name, found) in enumerate(rows):
        y = TOP + _ROW * (place + 0.5)
        kind = "good" if found.low > 0 else "bad" if found.high < 0 else "open"
        parts += [
            _text(_NAMES - 12, y + 4, name, "end"),
            _line(at(found.low), y, at(found.high), y, f"whisker {kind}"),
            f'<circle cx="{at(found.value):.1f}" cy="{y:.1f}" r="5" class="dot {kind}"/>',
        ]
    parts.append(_text(middle, height - 8, "0", "middle"))
    parts += [
        _text(at(tick), height - 8, percent(tick, "+"), "middle")
        for tick in (-edge, -edge / 2, edge / 2, edge)
    ]
    return _svg(WIDE, height, what, parts)
