"""Which version of a package the tests run with."""

from importlib.metadata import version

from packaging.version import Version


def has(package, least):
    return Version(version(package)) >= Version(least)
