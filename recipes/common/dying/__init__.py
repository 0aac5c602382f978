"""What `python -m recipes.dying_relu` measures: nets and units that die, and what prevents it."""
