"""The results of a run for people: tables, pictures, summary.json and report.html."""

import base64
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from keras_leaky import storage
from keras_leaky.study import InputError
from recipes.dying_relu import folder, plots
from recipes.dying_relu.answers import (
    answer_born_dead,
    answer_collapse,
    answer_training_death,
    rai_ratio,
)
from recipes.dying_relu.born_dead import BornDead
from recipes.dying_relu.collapse import LEARNED_RMSE, TOLERANCE, Collapse, NetRow
from recipes.dying_relu.dead_units import TrainingDeath
from recipes.dying_relu.intervals import interval, percent, points
from recipes.dying_relu.training_death import BATCH_SIZE

PARTS = {"born_dead": BornDead, "collapse": Collapse, "training_death": TrainingDeath}
PAGE = "report.html"


def draw_again(path: Path) -> Path:
    """Writes tables, pictures and page of a finished run again; returns the path of the page.

    Raises:
        InputError: The run is not finished, damaged, or of an earlier version.
    """
    folder.read_config(path)
    for name in PARTS:
        write_part_views(path, _read_part(path, name)[0])
    write_page(path)
    return path / PAGE


def write_part_views(path: Path, part: Any) -> None:
    """Writes the tables and pictures of a part: they stay if the next part is interrupted."""
    for name, rows in part.tables.items():
        folder.write_table(path, name, rows)
    for name, png in plots.draw_part(part).items():
        storage.write_whole(path / "plots" / f"{name}.png", png)


def write_page(path: Path) -> dict[str, list[str]]:
    """Writes summary.json and the page of a run whose parts and pictures are there.

    Returns:
        The sentences of each part.
    """
    config = folder.read_config(path)
    read = {name: _read_part(path, name) for name in PARTS}
    born_dead, collapse, training_death = (part for part, _ in read.values())
    answers = {
        "born_dead": answer_born_dead(born_dead),
        "collapse": answer_collapse(collapse),
        "training_death": answer_training_death(training_death),
    }
    seconds = {name: took for name, (_, took) in read.items()}
    ratio, low, high = rai_ratio(collapse)
    summary: dict[str, Any] = {
        "data_source": config["data_source"],
        "warning": config["warning"],
        "seconds": sum(seconds.values()),
        **{name: {"answer": all_[0], "details": all_[1:]} for name, all_ in answers.items()},
    }
    summary["born_dead"]["all_inside_bounds"] = all(row.inside for row in born_dead.checked)
    summary["collapse"]["rai_over_he"] = {"ratio": ratio, "ci95": [low, high]}
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    storage.write_whole(path / "summary.json", text.encode())

    files = importlib.resources.files("recipes.dying_relu")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(files.joinpath("page.html.j2").read_text())
    images = {
        file.stem: base64.b64encode(file.read_bytes()).decode("ascii")
        for file in (path / "plots").glob("*.png")
    }
    html = template.render(
        born_dead=born_dead,
        collapse=collapse,
        training_death=training_death,
        answers=answers,
        config=config,
        images=images,
        seconds=seconds,
        percent=percent,
        interval=interval,
        points=points,
        batch_size=BATCH_SIZE,
        collapsed_range=TOLERANCE,
        learned_rmse=LEARNED_RMSE,
        other_tolerances=_other_tolerances(collapse.nets),
    )
    storage.write_whole(path / PAGE, html.encode())
    return answers


def _read_part(path: Path, name: str) -> tuple[Any, float]:
    again = "Run `python -m recipes.dying_relu` again, with `--resume`."
    try:
        return folder.read_part(path, name, PARTS[name])
    except FileNotFoundError as error:
        file = path / f"{name}.json"
        raise InputError(
            f"{file} is missing: the run has not reached this part. {again}"
        ) from error
    except storage.DamagedFileError as error:
        raise InputError(f"{error}. {again}") from error


def _other_tolerances(nets: Sequence[NetRow]) -> list[tuple[str, list[str]]]:
    """The collapsed share of every arm under criteria ten times as strict and five times as lax."""
    ranges: dict[str, list[float]] = {}
    for row in nets:
        ranges.setdefault(row.arm, []).append(float("inf") if row.range is None else row.range)
    return [
        (
            f"{100 * tolerance:g} %",
            [
                percent(sum(each < tolerance * 3**0.5 for each in own) / len(own))
                for own in ranges.values()
            ],
        )
        for tolerance in (TOLERANCE / 10, TOLERANCE, 5 * TOLERANCE)
    ]
