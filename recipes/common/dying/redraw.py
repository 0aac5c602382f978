"""The pictures and the page of a finished run again, from its files alone."""

from recipes.common.dying.born_dead import BornDeadRow, RemedyRow
from recipes.common.dying.collapse import CollapseRow, FunctionRow, NetRow
from recipes.common.dying.comparison import ComparisonRow
from recipes.common.dying.folder import DyingFolder
from recipes.common.dying.page import make_page, plots_of
from recipes.common.dying.results import BornDead, Collapse, Results, TrainingDeath
from recipes.common.dying.revival import CellRow, DeathRow, RevivalRow


def redraw(folder: DyingFolder) -> None:
    """Writes the plots and the page.

    Raises:
        InputError: The run is not finished, or a file is damaged.
    """
    summary, config, environment = map(folder.read_json, ("summary", "config", "environment"))
    read, sizes = folder.read_table, summary["training_death"]
    results = Results(
        BornDead(read("born_dead", BornDeadRow), read("born_dead_remedies", RemedyRow)),
        Collapse(
            read("collapse", CollapseRow),
            read("collapse_nets", NetRow),
            read("collapse_functions", FunctionRow),
        ),
        TrainingDeath(
            read("dead_units", DeathRow),
            read("dead_units_cells", CellRow),
            read("remedies", ComparisonRow),
            read("revival", RevivalRow),
            n_sample=sizes["n_sample"],
            n_validation=sizes["n_validation"],
        ),
    )
    plots = {}
    for part in (results.born_dead, results.collapse, results.training_death):
        plots |= plots_of(part)
    folder.write_plots(plots)
    folder.write_page(make_page(results, plots, summary, config, environment))
