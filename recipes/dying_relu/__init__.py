"""Nets and units that die, and what prevents it, measured: `python -m recipes.dying_relu`."""
