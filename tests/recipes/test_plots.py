import numpy as np
import pytest

from recipes.common.plots import cell_edges
from recipes.common.space import Axis


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("axis", "log"),
    [
        (Axis(1e-3, 0.5, log=True), True),
        (Axis(0.1, 2.0, log=False), True),  # ELU: a linear grid on a log axis
        (Axis(0.0, 2.0, log=False), False),
    ],
)
def test_every_grid_point_lies_in_its_own_cell(axis, log, n):
    points = axis.grid(n)
    edges = cell_edges(points, log)
    assert np.all(np.isfinite(edges))
    assert np.searchsorted(edges, points).tolist() == list(range(1, n + 1))
