import cloudpickle
import pytest

from tests.tuning import worker_calls


@pytest.fixture(scope="module")
def functions_travel(request):
    """So that workers need not import the files of tests."""
    modules = request.module, worker_calls
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)
