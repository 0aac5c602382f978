"""Compiled programs, the rules for sharing them, and the epochs that run in them."""
