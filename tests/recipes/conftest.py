import pytest

from recipes import datasets
from tests.study.certificate_files import make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def foreign_certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def data():
    """Synthetic digits, 100 of them for training."""
    return datasets.split(datasets.load("mnist", "synthetic"), 100)
