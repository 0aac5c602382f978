"""Colors and the style sheets of the page and of its pictures, for light and dark mode."""

import re
from collections.abc import Iterable

from keras_leaky.study.outcome import ArmOutcome

LIGHT, DARK = "#ffffff", "#15171b"

# For arms whose color is taken or no color; distinct for most color-blind readers (Paul Tol).
_PALETTE = (
    "#0077bb", "#cc3311", "#009988", "#ee7733", "#aa3377", "#997700", "#33bbee", "#ee3377",
    "#6b6ecf", "#228833", "#66511b", "#8c564b",
)  # fmt: skip

# From bad to good, the same in both modes: viridis, whose order survives gray and color blindness.
QUALITY = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")

_VARIABLES = {
    "light": "--bg:#fff;--fg:#1d1f23;--muted:#5b616b;--grid:#e3e5e9;--box:#f4f5f7;"
    "--accent:#0b6fb8;--accent-box:#eaf3fa;--warn:#b4500a;--warn-box:#fdf1e7",
    "dark": "--bg:#15171b;--fg:#e7e9ec;--muted:#a2a9b4;--grid:#333841;--box:#1e2127;"
    "--accent:#5fb0ea;--accent-box:#172a38;--warn:#f0a35e;--warn-box:#35240f",
}

_PLOT = """
.plot{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--fg)}
.plot .title{font-size:14.5px;font-weight:600}
.plot .quiet{fill:var(--muted)}
.plot .grid{fill:none;stroke:var(--grid)}
.plot .zero{fill:none;stroke:var(--muted);stroke-width:1.4}
.plot .limit{fill:none;stroke:currentColor;stroke-dasharray:5 4;stroke-width:1.3}
.plot .dot{fill:currentColor;stroke:var(--bg);stroke-width:.8}
.plot .dots{fill:none;stroke:currentColor;stroke-width:5.5;stroke-linecap:round}
.plot .open{fill:var(--bg);stroke:currentColor;stroke-width:1.8}
.plot .ring{fill:none;stroke:var(--fg);stroke-width:2.2}
.plot .line{fill:none;stroke:currentColor;stroke-width:2.2}
.plot .thin{fill:none;stroke:currentColor;stroke-width:1;opacity:.4}
.plot .cross{fill:none;stroke:currentColor;stroke-width:1.8}
.plot .band{fill:currentColor;opacity:.14}
.plot .pale{fill:currentColor;opacity:.4}
.plot .full{fill:currentColor}
""".replace("\n", "")


def color_classes(arms: Iterable[ArmOutcome]) -> dict[str, tuple[str, str]]:
    """The color of every arm in light and in dark mode; no two arms have the same."""
    used: set[str] = set()
    found = {}
    for arm in arms:
        color = arm.color.lower()
        if color in used or not re.fullmatch("#[0-9a-f]{6}", color):
            color = next((c for c in _PALETTE if c not in used), color)
        if not re.fullmatch("#[0-9a-f]{6}", color):
            color = _PALETTE[0]
        used.add(color)
        found[arm.name] = _readable(color, LIGHT, 3.2), _readable(color, DARK, 5.0)
    return found


def page_style(colors: Iterable[tuple[str, str]]) -> str:
    """Variables and classes for the pictures, once per page."""
    colors = list(colors)
    light = "".join(f".a{i}{{color:{color}}}" for i, (color, _) in enumerate(colors))
    dark = "".join(f".a{i}{{color:{color}}}" for i, (_, color) in enumerate(colors))
    quality = "".join(f".q{i}{{color:{color}}}" for i, color in enumerate(QUALITY))
    return (
        f":root{{color-scheme:light dark;{_VARIABLES['light']}}}{_PLOT}{light}{quality}"
        f"@media(prefers-color-scheme:dark){{:root{{{_VARIABLES['dark']}}}{dark}}}"
    )


def file_style(colors: Iterable[tuple[str, str]]) -> str:
    """The style sheet of a picture in its own file, with a background."""
    return page_style(colors) + "svg{background:var(--bg)}"


def _readable(color: str, background: str, contrast: float) -> str:
    """The color, moved away from the background until it stands out."""
    target = 0 if _luminance(background) > 0.5 else 255
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    while _contrast(color, background) < contrast:
        channels = [round(0.92 * channel + 0.08 * target) for channel in channels]
        color = "#" + "".join(f"{channel:02x}" for channel in channels)
    return color


def _contrast(a: str, b: str) -> float:
    """As the Web Content Accessibility Guidelines define it."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
