"""Plots for model cards, drawn as SVG: a few lines, points and bars need no library that serving lacks."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 460, 340, 62, 46, 34
_PLOT_WIDTH, _PLOT_HEIGHT = WIDTH - LEFT - EDGE, HEIGHT - BOTTOM - EDGE
_INK, _LINE, _PALE = "#333", "#1f6fb2", "#bbb"
_COLOURS = ("#1f6fb2", "#d1662a", "#3a8f4d", "#8a5ab5", "#777", "#c03a4b")
_STEPS = 5
_BAR, _NAMES = 18, 190

Point = tuple[float, float]


def curve(
    title: str, across: str, up: str, points: Sequence[Point], *, most: Point = (1.0, 1.0), dots: bool = False
) -> bytes:
    """A line from point to point, with `dots` if wanted, and a pale one from corner to corner, which is what
    is right or what says nothing; the axes run from 0 to `most`."""
    placed = [
        (LEFT + _PLOT_WIDTH * x / most[0], HEIGHT - BOTTOM - _PLOT_HEIGHT * y / most[1]) for x, y in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    parts = [
        _text(WIDTH / 2, 20, title, "middle", 14),
        f'<line x1="{LEFT}" y1="{HEIGHT - BOTTOM}" x2="{WIDTH - EDGE}" y2="{EDGE}" stroke="{_PALE}"/>',
        f'<polyline points="{path}" fill="none" stroke="{_LINE}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_LINE}"/>' for x, y in placed if dots),
        *_axes(across, up, most),
    ]
    return _svg(WIDTH, HEIGHT, parts)


def lines(title: str, across: str, up: str, series: Mapping[str, Sequence[Point]], *, most: Point) -> bytes:
    """A line for each name, told apart by colour; the axes run from 0 to `most`."""
    right = WIDTH + _NAMES
    parts = [_text(WIDTH / 2, 20, title, "middle", 14), *_axes(across, up, most)]
    for place, (name, points) in enumerate(series.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        path = " ".join(
            f"{LEFT + _PLOT_WIDTH * x / most[0]:.1f},"
            f"{HEIGHT - BOTTOM - _PLOT_HEIGHT * min(max(y / most[1], 0.0), 1.0):.1f}"
            for x, y in points
        )
        y = EDGE + 18 * place
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<line x1="{WIDTH - 20}" y1="{y}" x2="{WIDTH}" y2="{y}" stroke="{colour}" stroke-width="3"/>',
            _text(WIDTH + 8, y + 4, name, "start", 11),
        ]
    return _svg(right, HEIGHT, parts)


def bars(title: str, values: Sequence[tuple[str, float]]) -> bytes:
    """A bar for each name, as long as its value beside the greatest."""
    height = EDGE + _BAR * len(values) + 12
    most = max((value for _, value in values), default=0.0) or 1.0
    parts = [_text(WIDTH / 2, 20, title, "middle", 14)]
    for place, (name, value) in enumerate(values):
        y = EDGE + _BAR * place
        length = (WIDTH - _NAMES - EDGE - 30) * value / most
        parts += [
            _text(_NAMES - 8, y + 12, name, "end", 11),
            f'<rect x="{_NAMES}" y="{y + 2}" width="{length:.1f}" height="{_BAR - 5}" fill="{_LINE}"/>',
            _text(_NAMES + length + 5, y + 12, f"{value:.3g}", "start", 10),
        ]
    return _svg(WIDTH, height, parts)


def rounded_up(value: float) -> float:
    """The next greater number with one digit that is not 0: where an axis may end."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** ceil(log10(value) - 1.0)
    return float(ceil(value / unit - 1e-9) * unit)


def ticks(most: float) -> list[float]:
    """Round numbers from 0 up to `most`, at most six, where an axis is labelled."""
    unit = 10.0 ** floor(log10(most / _STEPS))
    step = next(unit * factor for factor in (1, 2, 5, 10) if most / (unit * factor) <= _STEPS + 1e-9)
    return [step * place for place in range(floor(most / step + 1e-9) + 1)]


def _axes(across: str, up: str, most: Point) -> list[str]:
    right, ground = WIDTH - EDGE, HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {EDGE}V{ground}H{right}" fill="none" stroke="{_INK}"/>']
    parts += [
        _text(LEFT + _PLOT_WIDTH * tick / most[0], ground + 16, f"{tick:.3g}", "middle", 10)
        for tick in ticks(most[0])
    ]
    parts += [
        _text(LEFT - 6, ground - _PLOT_HEIGHT * tick / most[1] + 4, f"{tick:.3g}", "end", 10)
        for tick in ticks(most[1])
    ]
    turned = f'<g transform="translate(14 {EDGE + _PLOT_HEIGHT / 2}) rotate(-90)">'
    return [
        *parts,
        _text(LEFT + _PLOT_WIDTH / 2, HEIGHT - 10, across, "middle", 11),
        f"{turned}{_text(0, 0, up, 'middle', 11)}</g>",
    ]


def _text(x: float, y: float, text: str, anchor: str, size: int) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{_INK}">'
        f"{escape(text)}</text>"
    )


def _svg(width: int, height: int, parts: Sequence[str]) -> bytes:
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">'
        '<rect width="100%" height="100%" fill="#fff"/>'
    )
    return "\n".join([begin, *parts, "</svg>\n"]).encode()
