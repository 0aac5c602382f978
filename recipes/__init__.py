"""Recipes: what a user runs from a checkout, one thin main a file."""
