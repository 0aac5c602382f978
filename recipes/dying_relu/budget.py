"""The sizes of a run: full, or just enough to try the machinery."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The sizes of the three parts.

    Attributes:
        depths, widths: The grid of born-dead nets, L and N; `n_nets` nets a point.
        n_checked_nets: Nets to begin with where the count is checked against the bounds.
        n_remedy_nets: Nets for each activation and initialization.
        n_collapse_nets, collapse_epochs: Nets an arm that learn |x|, and for how long.
        learning_rates, alphas, momenta: The grid of the nets that learn digits.
        n_seeds, death_epochs: Nets a point of that grid, and for how long they learn.
        n_images: Training images they learn from.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    n_nets: int
    n_checked_nets: int
    n_remedy_nets: int
    n_collapse_nets: int
    collapse_epochs: int
    learning_rates: tuple[float, ...]
    alphas: tuple[float, ...]
    momenta: tuple[float, ...]
    n_seeds: int
    death_epochs: int
    n_images: int


FULL = Budget(
    depths=(3, 5, 10, 15, 20, 30, 40),
    widths=(2, 3, 5, 8, 12),
    n_nets=20_000,
    n_checked_nets=100_000,
    n_remedy_nets=10_000,
    n_collapse_nets=1000,
    collapse_epochs=100,
    learning_rates=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    alphas=(0.0, 0.01, 0.1, 0.3),
    momenta=(0.0, 0.9),
    n_seeds=5,
    death_epochs=10,
    n_images=10_000,
)

QUICK = Budget(
    depths=(3, 5, 10, 20),
    widths=(2, 3, 5),
    n_nets=10_000,
    n_checked_nets=100_000,
    n_remedy_nets=2000,
    n_collapse_nets=200,
    collapse_epochs=30,
    learning_rates=(0.02, 0.1, 0.5),
    alphas=(0.0, 0.1),
    momenta=(0.0, 0.9),
    n_seeds=2,
    death_epochs=3,
    n_images=2000,
)
