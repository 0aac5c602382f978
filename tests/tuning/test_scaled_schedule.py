"""Schedules whose height is a variable."""

import keras
import numpy as np
import pytest

from keras_leaky.tuning import ScaledSchedule
from keras_leaky.tuning.scaled_schedule import hold_learning_rate

schedules = keras.optimizers.schedules
SCHEDULES = {
    "cosine": schedules.CosineDecay(0.3, 10, alpha=0.1),
    "cosine with warmup": schedules.CosineDecay(0.01, 10, warmup_target=0.3, warmup_steps=4),
    "restarts": schedules.CosineDecayRestarts(0.3, 4),
    "exponential": schedules.ExponentialDecay(0.3, 3, 0.5),
    "inverse": schedules.InverseTimeDecay(0.3, 3, 0.5),
    "pieces": schedules.PiecewiseConstantDecay([2, 5], [0.3, 0.1, 0.01]),
    "polynomial": schedules.PolynomialDecay(0.3, 10, end_learning_rate=0.01, power=2.0),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_held_schedules_of_keras_keep_their_values(schedule):
    optimizer = keras.optimizers.SGD(schedule)
    expected = []
    for step in range(12):
        expected.append(float(schedule(step)))
    hold_learning_rate(optimizer)
    held = optimizer._learning_rate
    assert isinstance(held, ScaledSchedule)
    assert any(held.variable is variable for variable in optimizer.variables)
    np.testing.assert_allclose([float(held(step)) for step in range(12)], expected, rtol=1e-6)


def test_a_new_learning_rate_goes_into_the_variable():
    schedule = ScaledSchedule(schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.0), 0.5)
    optimizer = keras.optimizers.SGD(schedule)
    hold_learning_rate(optimizer)
    schedule.variable.assign(0.2)
    assert float(optimizer.learning_rate) == pytest.approx(0.2)


def test_a_float_and_other_schedules_are_left_alone():
    class Own(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

    for rate in (0.1, Own()):
        optimizer = keras.optimizers.SGD(rate)
        n_variables = len(optimizer.variables)
        hold_learning_rate(optimizer)
        assert len(optimizer.variables) == n_variables


def test_it_survives_its_config():
    schedule = ScaledSchedule(schedules.CosineDecay(1.0, 10), 0.5)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert float(again(3)) == float(schedule(3))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_learning_rate_must_be_positive_and_finite(rate):
    with pytest.raises(ValueError, match=r"`learning_rate` must be in \(0, inf\). Received: "):
        ScaledSchedule(schedules.CosineDecay(1.0, 10), rate)


def test_the_shape_must_be_a_schedule():
    with pytest.raises(ValueError, match=r"`shape` must be a LearningRateSchedule\. Received: sh"):
        ScaledSchedule(0.1, 0.1)
