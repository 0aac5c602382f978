import keras
import pytest

from keras_leaky.tuning import ScaledSchedule
from recipes.common.schedule import Triangle


def heights(n_steps):
    schedule = Triangle(n_steps)
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(n_steps)]


def test_rises_to_1_in_a_fifth_of_the_steps_and_falls_to_the_last():
    rates = heights(100)
    assert rates[19] == max(rates) == 1
    assert rates[:20] == pytest.approx([(i + 1) / 20 for i in range(20)])
    assert rates[19:] == pytest.approx([(81 - i) / 81 for i in range(81)])


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7])
def test_short_trainings_have_a_peak_and_no_step_of_nothing(n_steps):
    rates = heights(n_steps)
    assert max(rates) == 1
    assert min(rates) > 0


def test_the_searched_rate_is_the_peak():
    schedule = ScaledSchedule(Triangle(10), 0.3)
    assert float(keras.ops.convert_to_numpy(schedule(1))) == pytest.approx(0.3)


def test_config_makes_an_equal_schedule():
    assert Triangle.from_config(Triangle(10).get_config()).n_steps == 10
