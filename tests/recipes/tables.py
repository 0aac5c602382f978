"""Tables of run folders."""

import csv


def read_table(folder, name):
    """The rows of a table without their seconds, the only thing that may differ."""
    with (folder / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
