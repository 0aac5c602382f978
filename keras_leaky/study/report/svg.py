"""A small writer of pictures as SVG: scales, and one panel of marks and lines.

A panel is as wide as a phone. Text stays text, each point is described by a `<title>`, and every
color is a class of the style sheet, so that a picture follows the reader's light or dark mode.
"""

import html
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

WIDTH = 440
FONT_SIZE = 13

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")

Ticks = list[tuple[float, str]]


def escape(text: str) -> str:
    """Text for HTML and XML, also for attributes."""
    return html.escape(_CONTROL.sub("\ufffd", text))


def text_width(text: str, font_size: float = FONT_SIZE) -> float:
    """About how many pixels wide a text is."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return font_size * (wide + 0.56 * (len(text) - wide))


def shorten(text: str, width: float, font_size: float = FONT_SIZE) -> str:
    """Cuts a text to about `width` pixels."""
    if text_width(text, font_size) <= width:
        return text
    while text and text_width(text + "…", font_size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


@dataclass(frozen=True)
class Scale:
    """Where a value lies along an axis, from 0 to 1.

    Attributes:
        low, high: Values at the ends. Others are drawn at the nearer end.
        transform: Monotone function whose values are linear along the axis.
        ticks: Values with their labels.
    """

    low: float
    high: float
    transform: Callable[[float], float]
    ticks: Ticks

    def place(self, value: float) -> float:
        low, high = self.transform(self.low), self.transform(self.high)
        value = self.transform(min(max(value, self.low), self.high))
        return (value - low) / (high - low)


def linear_scale(
    low: float, high: float, label: Callable[[float], str] | None = None, margin: float = 0.04
) -> Scale:
    """A linear axis with a few round ticks."""
    if not high > low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    pad = margin * (high - low)
    low, high = low - pad, high + pad
    step = _round_step((high - low) / 5)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**decimals, 6) % 1:
        decimals += 1  # 0.25
    values = [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    write = label or (lambda value: f"{value:.{decimals}f}" if abs(value) < 1e6 else f"{value:.3g}")
    return Scale(low, high, float, [(value, write(value + 0.0)) for value in values])


def log_scale(
    low: float,
    high: float,
    label: Callable[[float], str] | None = None,
    margin: float = 0.04,
) -> Scale:
    """A logarithmic axis; both ends are above 0."""
    if not high > low:
        low, high = low / 1.5, high * 1.5
    pad = (high / low) ** margin
    low, high = low / pad, high * pad
    write = label or (lambda value: f"{value:.3g}")
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = math.ceil(len(powers) / 7)
    for digits, step in ((1, 1.5, 2, 3, 4, 5, 6, 8), 1), ((1, 2, 5), 1), ((1,), every):
        values = [
            digit * 10.0**power
            for power in powers
            for digit in digits
            if power % step == 0 and low <= digit * 10.0**power <= high
        ]
        if len(values) <= 7:
            break
    if len(values) < 2:
        values = [value for value, _ in linear_scale(low, high, margin=0).ticks]
    return Scale(low, high, math.log, [(value, write(value)) for value in values])


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= raw * 0.999)


@dataclass
class Panel:
    """One picture.

    Attributes:
        title: Title above the picture.
        height: Total height, in pixels at a width of 440.
        x: Horizontal scale; None leaves it out.
        y: Vertical scale. None where rows are labelled by `text`.
        x_label, y_label: Labels of the axes.
        left: Room for the labels of the vertical axis.
        legend: Class, shape and text of each mark to explain, above the axes.
    """

    title: str
    x: Scale
    x_label: str
    y: Scale | None = None
    y_label: str = ""
    height: float = 300
    left: float = 58
    legend: Sequence[tuple[str, str, str]] = ()
    _parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._legend_rows = _place_legend(self.legend)
        self.height += 18 * len(self._legend_rows)

    @property
    def top(self) -> float:
        return (46 if self.y_label else 30) + 18 * len(self._legend_rows)

    @property
    def bottom(self) -> float:
        return self.height - 44

    @property
    def right(self) -> float:
        return WIDTH - 14

    def to_x(self, value: float) -> float:
        return self.left + self.x.place(value) * (self.right - self.left)

    def to_y(self, value: float) -> float:
        assert self.y is not None
        inset = 8  # a mark at the end of the axis stays inside
        return self.bottom - inset - self.y.place(value) * (self.bottom - self.top - 2 * inset)

    def add(self, part: str) -> None:
        """Adds a finished element."""
        self._parts.append(part)

    def text(self, x: float, y: float, text: str, anchor: str = "start", css: str = "") -> None:
        """Adds a text at pixels."""
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        css = f' class="{css}"' if css else ""
        self.add(f'<text x="{_number(x)}" y="{_number(y)}"{where}{css}>{escape(text)}</text>')

    def line(self, points: Iterable[tuple[float, float]], css: str, told: str = "") -> None:
        """Adds a line through pixels."""
        path = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
        self.add(f'<path class="{css}" d="M{path}"{_close("path", told)}')

    def box(
        self, x: float, y: float, width: float, height: float, css: str, told: str = ""
    ) -> None:
        """Adds a rectangle at pixels."""
        numbers = f'x="{_number(x)}" y="{_number(y)}" width="{_number(max(width, 0))}"'
        numbers += f' height="{_number(height)}"'
        self.add(f'<rect class="{css}" {numbers}{_close("rect", told)}')

    def mark(self, x: float, y: float, shape: str, size: float, css: str, told: str = "") -> None:
        """Adds one mark at pixels."""
        self.add(f'<path class="{css}" d="{_mark(x, y, shape, size)}"{_close("path", told)}')

    def dots(self, places: Iterable[tuple[float, float]], css: str) -> None:
        """Adds many dots without titles, in few bytes: lines of no length with round ends."""
        unique = dict.fromkeys((round(x), round(y)) for x, y in places)
        path = "".join(f"M{x} {y}h0" for x, y in unique)
        if path:
            self.add(f'<path class="{css}" d="{path}"/>')

    def to_svg(self, alt: str, style: str = "") -> str:
        """The picture.

        Args:
            alt: Text alternative: what the picture shows.
            style: Style sheet, if the picture gets its own file.
        """
        namespace = ' xmlns="http://www.w3.org/2000/svg"' if style else ""
        sheet = f"<style>{style}</style>" if style else ""
        title = shorten(self.title, WIDTH - 10, 14.5)
        parts = [
            f'<svg{namespace} class="plot" viewBox="0 0 {WIDTH} {_number(self.height)}" role="img" '
            f'aria-label="{escape(alt)}">{sheet}',
            f'<text class="title" x="2" y="16">{escape(title)}</text>',
            *self._axes(),
            *self._parts,
            "</svg>",
        ]
        return "\n".join(parts)

    def _axes(self) -> Iterable[str]:
        bottom, top = _number(self.bottom), _number(self.top)
        grid = "".join(f"M{_number(self.to_x(v))} {top}V{bottom}" for v, _ in self.x.ticks)
        if self.y is not None:
            left, right = _number(self.left), _number(self.right)
            grid += "".join(f"M{left} {_number(self.to_y(v))}H{right}" for v, _ in self.y.ticks)
            for value, label in self.y.ticks:
                x, y = _number(self.left - 6), _number(self.to_y(value) + 4.5)
                yield f'<text x="{x}" y="{y}" text-anchor="end">{escape(label)}</text>'
            yield f'<text class="quiet" x="2" y="36">{escape(self.y_label)}</text>'
        yield f'<path class="grid" d="{grid}"/>'
        for i, row in enumerate(self._legend_rows):
            y = (36 if self.y_label else 20) + 18 * (i + 1)
            for x, css, shape, text in row:
                yield f'<path class="{css}" d="{_mark(x + 6, y - 4.5, shape, 4.5)}"/>'
                yield f'<text x="{_number(x + 15)}" y="{_number(y)}">{escape(text)}</text>'
        for value, label in self.x.ticks:
            x = _number(min(self.to_x(value), WIDTH - 4 - 3.7 * len(label)))
            y = _number(self.bottom + 16)
            yield f'<text x="{x}" y="{y}" text-anchor="middle">{escape(label)}</text>'
        x, y = _number((self.left + self.right) / 2), _number(self.height - 8)
        label = escape(shorten(self.x_label, WIDTH - 10))
        yield f'<text class="quiet" x="{x}" y="{y}" text-anchor="middle">{label}</text>'


def _place_legend(
    entries: Iterable[tuple[str, str, str]],
) -> list[list[tuple[float, str, str, str]]]:
    """Entries with their horizontal place, in as many rows as they need."""
    rows: list[list[tuple[float, str, str, str]]] = []
    x = math.inf
    for css, shape, text in entries:
        text = shorten(text, WIDTH - 40)
        width = 30 + text_width(text)
        if x + width > WIDTH:
            rows.append([])
            x = 2.0
        rows[-1].append((x, css, shape, text))
        x += width
    return rows


SHAPES = ("circle", "diamond", "triangle", "down")  # and "square", of the baseline


def _mark(x: float, y: float, shape: str, size: float) -> str:
    """Path of a mark around a place; `size` is half its width."""
    s, d = _number(size), _number(2 * size)
    left, middle = _number(x - size), _number(y)
    if shape == "circle":
        return f"M{left} {middle}a{s} {s} 0 1 0 {d} 0a{s} {s} 0 1 0 -{d} 0z"
    if shape == "square":
        return f"M{left} {_number(y - size)}h{d}v{d}h-{d}z"
    if shape == "diamond":
        return f"M{left} {middle}l{s} -{s}l{s} {s}l-{s} {s}z"
    if shape == "triangle":
        return f"M{left} {_number(y + size)}h{d}l-{s} -{d}z"
    if shape == "down":
        return f"M{left} {_number(y - size)}h{d}l-{s} {d}z"
    if shape == "cross":
        return f"M{left} {_number(y - size)}l{d} {d}m0 -{d}l-{d} {d}"
    if shape == "tick":
        return f"M{_number(x)} {_number(y - size)}v{d}"
    raise ValueError(f"`shape` must be a known one. Received: shape={shape!r}")


def _number(value: float) -> str:
    """One decimal, as short as it goes."""
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def _close(tag: str, told: str) -> str:
    return f"><title>{escape(told)}</title></{tag}>" if told else "/>"
