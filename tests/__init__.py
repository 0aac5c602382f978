"""Tests, a folder for each of the package. A package, because others install a `tests` too."""
