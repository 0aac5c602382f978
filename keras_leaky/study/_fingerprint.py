"""Settings that must be equal for a study to be resumed."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_leaky.study.errors import InputError


def plain(content: Any) -> Any:
    """A value after a round trip through JSON, so that it compares with a stored one."""
    return json.loads(json.dumps(content, default=str))


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], directory: Path) -> None:
    """Refuses to mix two studies in one folder.

    Raises:
        InputError: Lists what differs.
    """
    differences = list(_differences("", before, now))
    if differences:
        raise InputError(
            f"`directory` must hold the same study to be resumed. Other settings in {directory}:\n"
            + "\n".join(differences)
            + "\nRestore these settings, or start a new study in another directory."
        )


def _differences(where: str, before: Any, now: Any) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*before, *now]):
            yield from _differences(
                f"{where}.{name}" if where else name, before.get(name), now.get(name)
            )
    elif before != now:
        yield f"  {where}: the study has {before}, this run asks for {now}"
