"""ELU: its argument and its saturation value."""

import json
import re

import numpy as np
import pytest

from keras_leaky.layers import ELU


@pytest.mark.parametrize(
    "alpha", [-0.1, -1, np.nan, np.inf, -np.inf, True, np.True_, "1", None, [1.0]], ids=repr
)
def test_alpha_that_is_no_finite_number_of_at_least_zero_is_refused(alpha):
    message = "`alpha` of layer 'elu' must be a finite real number of at least 0. Received: alpha="
    with pytest.raises(ValueError, match="^" + re.escape(message + repr(alpha)) + "$"):
        ELU(alpha, name="elu")


@pytest.mark.parametrize("alpha", [0, 2, np.float32(0.5), np.array(0.25)], ids=repr)
def test_alpha_becomes_a_python_float(alpha):
    config = ELU(alpha).get_config()
    assert type(config["alpha"]) is float
    assert json.loads(json.dumps(config))["alpha"] == float(alpha)


def test_keras_2_config():
    config = {"name": "elu", "trainable": True, "alpha": {"type": "ndarray", "value": 0.5}}
    assert ELU.from_config(config).alpha == 0.5


def test_saturates_at_minus_alpha():
    np.testing.assert_array_equal(ELU(0.5)(np.array([-np.inf, -1e3])), [-0.5, -0.5])
