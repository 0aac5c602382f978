"""Does a slope keep a net able to learn? Run as `python -m recipes.plasticity`."""
