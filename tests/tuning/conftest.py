import cloudpickle
import pytest

from keras_leaky.tuning import local_workers
from tests.tuning import worker_calls


@pytest.fixture(scope="session")
def client():
    """Two workers, which import Keras for seconds, for all tests that take them as they are."""
    with local_workers(2) as client:
        yield client


@pytest.fixture(scope="module")
def functions_travel(request):
    """So that workers need not import the files of tests."""
    modules = request.module, worker_calls
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)
