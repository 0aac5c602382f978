"""How the reference shows docstrings: doctests as code, Keras's own sections as plain text."""

import re
import textwrap
from typing import Any

import griffe

_DOCTEST = re.compile(r"^(>>> .*(?:\n.+)*)", re.MULTILINE)
_SECTION = re.compile(
    r"^(Example|Input shape|Output shape|References|Weights):\n((?: {4}.*\n?|\n)*)", re.MULTILINE
)


class PlainSections(griffe.Extension):
    """Griffe makes boxes of sections that it does not know, and text of doctests."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            text = _SECTION.sub(_write_section, obj.docstring.value)
            obj.docstring.value = _DOCTEST.sub(r"```pycon\n\1\n```", text)


def _write_section(match: re.Match[str]) -> str:
    return f"**{match[1]}**\n\n{textwrap.dedent(match[2])}"
