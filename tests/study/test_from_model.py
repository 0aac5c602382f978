"""Studies of a compiled model as it is."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU
from keras_leaky.rectifiers import activation_name
from keras_leaky.study import Arm, InputError, Study
from keras_leaky.study._from_model import make_build
from keras_leaky.study.arms import ArmModel
from keras_leaky.tuning import ScaledSchedule, Trainer
from tests.study.small_studies import FIT, N_CLASSES, TEST, X, Y


def make_model(rate=0.01, cap=None, adapt=False):
    inputs = keras.Input((4,))
    x = inputs
    if adapt:
        normalization = keras.layers.Normalization()
        normalization.adapt(X)
        x = normalization(x)
    x = keras.layers.Dense(8, "relu", name="first")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(cap, name="second")(x)
    model = keras.Model(inputs, keras.layers.Dense(N_CLASSES)(x))
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def build_arm(model, arm, values, seed=1, **kwargs):
    function, _ = make_build(model, *(kwargs.get("weights", "draw"), kwargs.get("rates")))
    return Trainer().build(lambda: ArmModel(function, arm).build_point(values), seed)


def test_every_relu_is_replaced_and_the_baseline_is_the_model():
    values = {"alpha": 0.2, "learning_rate": 0.02}
    model = make_model(cap=6.0)
    leaky, baseline = (build_arm(model, Arm(name), values) for name in ("leaky_relu", "relu"))
    assert isinstance(leaky.get_layer("second"), LeakyReLU)
    assert isinstance(leaky.get_layer("first").activation, LeakyReLU)
    assert baseline.get_layer("second").max_value == 6
    assert activation_name(baseline.get_layer("first").activation) == "relu"
    for one in (leaky, baseline):
        assert float(one.optimizer.learning_rate) == pytest.approx(0.02)
        assert one.optimizer.momentum == 0.5
    x = X[:5]
    for a, b in zip(model.get_weights(), baseline.get_weights(), strict=True):
        assert a.shape == b.shape
    baseline.set_weights(model.get_weights())
    np.testing.assert_allclose(baseline(x), model(x), rtol=1e-6)


def test_weights_are_drawn_or_kept():
    model, values = make_model(adapt=True), {"alpha": 0.2, "learning_rate": 0.02}
    kept = build_arm(model, Arm("leaky_relu"), values, weights="keep")
    kernels = [layer.kernel for layer in (model.get_layer("first"), kept.get_layer("first"))]
    np.testing.assert_array_equal(*map(np.asarray, kernels))
    drawn = [build_arm(model, Arm("leaky_relu"), values, seed=seed) for seed in (1, 2)]
    relu = build_arm(model, Arm("relu"), values, seed=1)
    first, second, of_relu = (np.asarray(m.get_layer("first").kernel) for m in (*drawn, relu))
    assert (first != second).all()
    np.testing.assert_array_equal(first, of_relu)  # paired by seed
    mean = next(layer for layer in drawn[0].layers if hasattr(layer, "adapt")).mean
    np.testing.assert_allclose(np.asarray(mean).ravel(), X.mean(0), atol=1e-5)  # as adapted


def test_the_range_is_around_the_compiled_rate():
    function, _ = make_build(make_model(0.02), "draw", None)
    hp = keras_tuner.HyperParameters()
    ArmModel(function, Arm("relu")).build(hp)
    [rate] = [one for one in hp.space if one.name == "learning_rate"]
    assert (rate.min_value, rate.max_value) == (pytest.approx(0.02 / 30), pytest.approx(0.6))


def test_a_schedule_is_scaled():
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 20, warmup_target=0.1, warmup_steps=10)
    model = make_model(schedule)
    built = build_arm(model, Arm("relu"), {"learning_rate": 0.4})
    config = built.optimizer.get_config()["learning_rate"]
    scaled = keras.optimizers.schedules.deserialize(
        config, custom_objects={"ScaledSchedule": ScaledSchedule}
    )
    assert float(scaled(10)) == pytest.approx(0.4)
    assert float(scaled(5)) == pytest.approx(0.2)
    function, _ = make_build(model, "draw", None)
    assert function._rates == (pytest.approx(0.1 / 30), pytest.approx(3.0))


def test_trials_share_a_program():
    function, _ = make_build(make_model(), "draw", None)
    trainer, models = Trainer(), set()
    for alpha in (0.1, 0.2):
        point = {"alpha": alpha, "learning_rate": 0.1 * alpha}
        model = trainer.build(lambda p=point: ArmModel(function, Arm("elu")).build_point(p), 1)
        trained, _ = trainer.train(model, X, Y, seed=1, **FIT)
        models.add(id(trained))
    assert len(models) == 1


def test_a_study_of_a_model(tmp_path):
    model = make_model(cap=6.0)
    before = model.get_weights()
    study = Study.from_model(
        model, arms=["leaky_relu=0.1"], trials=2, finalists=1, seeds=2, directory=tmp_path / "run"
    )
    outcome = study.run(X, Y, test_data=TEST, **FIT)
    assert outcome.arms["leaky_relu=0.1"].test.n == 2
    assert outcome.notes == [
        "The model has ReLU6. The baseline keeps it; in the other arms its cap of 6 is gone."
    ]
    assert outcome.best_model().count_params() == model.count_params()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "new"}, "`weights` must be 'draw' or 'keep'"),
        ({"learning_rate_range": (0.1, 0.01)}, r"must be \(low, high\) with 0 < low < high"),
        ({"learning_rate_range": (1e-3, 1e300)}, r"high < 1e30"),
        ({"model": "not compiled"}, "`model` must be compiled"),
        ({"model": "no relu"}, "must have a ReLU or ReLU6 to replace.*tanh"),
        ({"model": 3}, r"`model` must be a built keras\.Model"),
    ],
)
def test_what_no_study_can_be_made_of(tmp_path, change, message):
    model = change.pop("model", None)
    if model == "not compiled":
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
    elif model == "no relu":
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh")])
        model.compile("sgd", "mse")
    elif model is None:
        model = make_model()
    with pytest.raises(InputError, match=message):
        Study.from_model(model, arms=["elu"], directory=tmp_path / "run", **change)
