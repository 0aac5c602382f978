"""Compiled programs, what decides which models share one, and the epochs that run in them."""
