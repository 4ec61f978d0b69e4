"""A plot as SVG: deliveries and acknowledgements in a second, reconnects, and what was done when."""

from __future__ import annotations

from html import escape

from tests.failover.results import Result

WIDTH, HEIGHT = 860, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 60, 46, 34
COLOURS = {
    "delivered": "#1f6feb",
    "acknowledged": "#2da44e",
    "reconnects": "#d97706",
    "mark": "#cf222e",
    "grey": "#6e7781",
}


def plot(result: Result) -> str:
    """The whole picture."""
    inner, deep = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    seconds = max(result.seconds, 1.0)
    most = _round(max([*result.curve, 1.0]))
    # Acknowledgements get the scale on which they lie on the deliveries when all is well.
    fan = max(result.delivered / max(result.published, 1), 1.0)

    def x(second: float) -> float:
        return LEFT + inner * min(second, seconds) / seconds

    def y(value: float, full: float = most) -> float:
        return TOP + deep * (1 - min(value / full, 1.0))

    step = seconds / max(len(result.curve) - 1, 1)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f"<title>{escape(result.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for part in range(5):
        value = most * part / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{LEFT + inner}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#d0d7de"/>'
        )
        parts.append(_text(LEFT - 6, y(value) + 4, f"{value:,.0f}", "end", COLOURS["delivered"]))
        parts.append(_text(LEFT + inner + 6, y(value) + 4, f"{value / fan:,.0f}", "start", COLOURS["acknowledged"]))
    grid = next(size for size in (1, 2, 5, 10, 20, 50, 100) if seconds / size <= 12 or size == 100)
    for number in range(0, int(seconds) + 1, grid):
        parts.append(_text(x(number), HEIGHT - BOTTOM + 14, str(number), "middle", COLOURS["grey"]))
    parts.append(_text(LEFT + inner, HEIGHT - 6, "seconds", "end", COLOURS["grey"]))
    for second, number in enumerate(result.reconnect_curve):
        if number:
            top = y(number, result.clients)
            width = max(inner / seconds - 1, 1)
            parts.append(
                f'<rect x="{x(second):.1f}" y="{top:.1f}" width="{width:.1f}" height="{TOP + deep - top:.1f}" '
                f'fill="{COLOURS["reconnects"]}" opacity="0.35"><title>{number} clients came back</title></rect>'
            )
    parts.append(_line([(x(at * step), y(value)) for at, value in enumerate(result.curve)], COLOURS["delivered"]))
    acknowledged = [(x(at * step), y(value * fan)) for at, value in enumerate(result.acknowledged_curve)]
    parts.append(_line(acknowledged, COLOURS["acknowledged"]))
    for number, (moment, what) in enumerate(result.marks):
        height = TOP - 4 - 11 * (number % 3)
        side = "end" if x(moment) > LEFT + inner * 0.8 else "start"
        parts.append(
            f'<line x1="{x(moment):.1f}" x2="{x(moment):.1f}" y1="{height}" y2="{TOP + deep}" '
            f'stroke="{COLOURS["mark"]}" stroke-dasharray="3 3"/>'
        )
        parts.append(_text(x(moment) + (-3 if side == "end" else 3), height + 2, what, side, COLOURS["mark"]))
    legend = (("delivered", "delivered a second"), ("acknowledged", "acknowledged a second (right)"))
    place = float(LEFT)
    for name, text in (*legend, ("reconnects", "reconnects in a second, of all clients (full height)")):
        parts.append(_text(place, HEIGHT - 6, f"■ {text}", "start", COLOURS[name]))
        place += 24 + 6.1 * len(text)
    return "\n".join([*parts, "</svg>", ""])


def _line(points: list[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _round(value: float) -> float:
    """The next round number above."""
    size = 1.0
    while size * 10 < value:
        size *= 10
    return next(size * times for times in (1, 2, 4, 5, 10) if size * times >= value)
