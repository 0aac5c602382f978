"""Arms: what they are called, what they search, and what they make."""

import keras
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU
from keras_leaky.rectifiers import TABLE
from keras_leaky.study import Arm, InputError
from keras_leaky.study.arms import Rectifier, color_arms, read_arms


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Arm("gelu"), "`rectifier` of an arm must be one of relu, leaky_relu"),
        (lambda: Arm("leaky_relu", (0.5, 0.1)), r"must be \(low, high\) with low < high"),
        (lambda: Arm("leaky_relu", (0.1, float("inf"))), r"must be \(low, high\)"),
        (lambda: Arm("leaky_relu", float("nan")), "`alpha` of leaky_relu must be a finite real"),
        (lambda: Arm("elu", (-1, 1)), "`alpha` of elu must be a finite real number of at least 0"),
        (lambda: Arm("elu", True), "`alpha` of elu must be"),
        (lambda: Arm("relu", 0.1), "`alpha` of relu must be None"),
        (lambda: Arm("rrelu", 0.1), "`alpha` of rrelu must be a pair"),
        (lambda: Arm(lambda: LeakyReLU()), "`name` of an arm must be given"),
        (lambda: Arm(LeakyReLU, 0.1), "`alpha` must be left out if `rectifier` is a function"),
        (lambda: Arm(LeakyReLU()), "must be a name, or a function"),
        (lambda: Arm("elu", name=""), "`name` of an arm must be a string of 1 to 100"),
        (lambda: Arm("elu", name="a\nb"), "`name` of an arm must be printable"),
        (lambda: read_arms("elu"), "`arms` must be a list"),
        (lambda: read_arms([3]), "`arms` must hold names"),
        (lambda: read_arms(["elu", "elu"]), "`arms` must have different names. Received: 'elu'"),
        (lambda: read_arms([Arm("elu", name="relu")]), "Received: 'relu' twice"),
        (lambda: read_arms(["elu=x"]), "must give alpha as a number after '='"),
    ],
)
def test_what_is_no_arm_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_the_baseline_comes_first_whether_it_is_named_or_not():
    for names in (["elu"], ["elu", "relu"], ["relu", "elu"]):
        assert [arm.name for arm in read_arms(names)] == ["relu", "elu"]
    assert [arm.name for arm in read_arms([])] == ["relu"]


@pytest.mark.parametrize("name", list(TABLE))
def test_an_arm_searches_the_range_of_the_table(name):
    arm, entry = Arm(name), TABLE[name]
    assert arm.searched == entry.alpha_range
    assert arm.title == entry.title
    made = Rectifier(arm, arm.searched[0] if arm.searched else None)()
    assert type(made) is entry.layer


def test_a_range_that_reaches_below_0_is_searched_on_a_linear_scale():
    assert Arm("leaky_relu", (-1, 1)).scale == "linear"
    assert Arm("leaky_relu", (0.1, 1)).scale == "log"


def test_a_number_stays_and_is_in_the_title():
    arm = Arm("leaky_relu", 0.1)
    assert (arm.name, arm.title, arm.searched, arm.fixed_alpha) == (
        *("leaky_relu=0.1", "Leaky ReLU 0.1", None, 0.1),
    )
    assert Arm("leaky_relu", 0.1, name="mine").title == "mine"


def test_layers_of_ones_own_are_made_anew_each_time():
    rectifier = Rectifier(Arm(lambda: keras.layers.Activation("gelu"), name="gelu"))
    first, second = rectifier(name="a"), rectifier(name="b")
    assert (first is not second, first.name, second.name) == (True, "a", "b")
    with pytest.raises(InputError, match=r"must return a new layer\. Received: 3"):
        Rectifier(Arm(lambda: 3, name="three"))()


def test_initializers_draw_the_same_numbers_but_for_a_gain():
    draws = {
        name: np.asarray(Rectifier(arm, arm.fixed_alpha).initializer(seed=1)((50, 20)))
        for name in ("relu", "leaky_relu=0.5", "elu=1")
        for arm in read_arms([name])[-1:]
    }
    ratios = draws["leaky_relu=0.5"] / draws["relu"]
    np.testing.assert_allclose(ratios, ratios.flat[0], rtol=1e-5)
    np.testing.assert_allclose(ratios.flat[0], 1.25**-0.5, rtol=1e-5)


def test_arms_of_one_rectifier_have_different_colors():
    arms = read_arms(["leaky_relu", "leaky_relu=0.1", Arm(LeakyReLU), Arm(LeakyReLU, name="b")])
    assert len(set(color_arms(arms).values())) == len(arms)
