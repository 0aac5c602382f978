"""Small files of images for tests."""

from tests.study.data_arrays import write_data


def write_mnist(folder, **changes):
    """Writes a small mnist.npz that passes every check, but for `changes`; None leaves one out."""
    return write_data(folder, "mnist.npz", **changes)
