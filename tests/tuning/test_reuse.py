"""A trial in a used program equals the same trial in a fresh one, to the last bit."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_leaky
from keras_leaky.rectifiers import TABLE
from keras_leaky.tuning import RandomSearch

layers = keras.layers
N_SAMPLES = 60
OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "adam": keras.optimizers.Adam,
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.1),
    "nadam": keras.optimizers.Nadam,  # whose slots do not start at zero
    "averaged": lambda rate: keras.optimizers.SGD(rate, use_ema=True),
    "scheduled": lambda rate: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.0, 8, warmup_target=rate, warmup_steps=3)
    ),
}
MIDDLES = {
    "plain": (),
    "batch norm": (layers.BatchNormalization,),
    "dropout": (lambda: layers.Dropout(0.3),),
    "augmented": (layers.RandomFlip, lambda: layers.RandomTranslation(0.2, 0.2)),
    "all": (layers.RandomFlip, layers.BatchNormalization, lambda: layers.Dropout(0.3)),
}
RECTIFIERS = {
    **{entry.name: entry.make for entry in TABLE.values() if entry.alpha_range is not None},
    "rrelu": lambda alpha: keras_leaky.layers.RReLU(alpha / 2, alpha),
    "keras": lambda alpha: layers.LeakyReLU(alpha),
}


def make_build(optimizer="adam", middle="plain", rectifier="leaky_relu", widths=(4,)):
    def build(hp):
        alpha = hp.Float("alpha", 0.01, 0.5)
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        width = hp.Choice("width", list(widths))
        initializer = keras_leaky.initializers.RectifierNormal("leaky_relu", alpha)
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3), dtype="uint8"),
                layers.Rescaling(1 / 255),
                *(make() for make in MIDDLES[middle]),
                layers.Conv2D(width, 3, kernel_initializer=initializer),
                RECTIFIERS[rectifier](alpha),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
        model.compile(
            OPTIMIZERS[optimizer](rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    return build


def make_data():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (N_SAMPLES, 8, 8, 3)).astype("uint8")
    return x, rng.integers(0, 3, N_SAMPLES)


def search(build, folder, forget=False, max_trials=2, **kwargs):
    """A search, its programs, and the weights after every trial."""
    weights = []

    class Tuner(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            if forget:
                self._trainer._programs._programs.clear()
            results = super().run_trial(trial, *args, **kwargs)
            weights.append([results[0].history, self.last_weights])
            return results

        def on_epoch_end(self, trial, model, epoch, logs=None):
            self.last_weights = [keras.ops.convert_to_numpy(v).copy() for v in model.variables]

    tuner = Tuner(build, "val_loss", max_trials=max_trials, seed=1, directory=folder)
    x, y = make_data()
    tuner.search(x, y, epochs=2, batch_size=16, validation_split=0.25, verbose=0, **kwargs)
    return tuner, weights


CASES = [
    *({"optimizer": name} for name in OPTIMIZERS),
    {"optimizer": "nadam", "rectifier": "prelu"},
    {"optimizer": "averaged", "rectifier": "elu"},
    {"optimizer": "scheduled", "rectifier": "rrelu"},
    *({"middle": name} for name in MIDDLES if name not in ("plain", "all")),
    *({"rectifier": name} for name in RECTIFIERS),
    {"widths": (3, 5)},
    {"optimizer": "adamw", "middle": "all", "widths": (3, 5)},
]


def in_ci(case):
    """CI runs the cases of several parts, and Keras's layer, whose slope is fixed in a program."""
    return len(case) > 1 or case == {"rectifier": "keras"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=str(case), marks=[] if in_ci(case) else pytest.mark.soak)
        for case in CASES
    ],
)
def test_a_used_program_gives_the_bits_of_a_fresh_one(case, tmp_path):
    build = make_build(**case)
    n_trials = 2 * len(case.get("widths", "1"))
    used, results = search(build, tmp_path / "used", max_trials=n_trials)
    _, expected = search(build, tmp_path / "fresh", forget=True, max_trials=n_trials)
    for (history, variables), (expected_history, expected_variables) in zip(
        results, expected, strict=True
    ):
        assert history == expected_history
        for variable, expected_variable in zip(variables, expected_variables, strict=True):
            np.testing.assert_array_equal(variable, expected_variable)
    n_programs = len(used._trainer._programs._programs)
    has_live_numbers = case.get("rectifier") != "keras"
    assert n_programs == (len(case.get("widths", "1")) if has_live_numbers else n_trials)


def test_the_slope_is_that_of_the_trial(tmp_path):
    """Results differ by alpha alone: the numbers of the trials did go in."""

    def build(hp):
        hp.Fixed("learning_rate", 0.01)
        return make_build()(hp)

    _, results = search(build, tmp_path)
    losses = [history["loss"][0] for history, _ in results]
    assert len(set(losses)) == len(losses)


def test_a_search_repeats_itself(tmp_path):
    _, results = search(make_build(middle="all"), tmp_path / "1")
    _, again = search(make_build(middle="all"), tmp_path / "2")
    assert [history for history, _ in results] == [history for history, _ in again]


def test_trials_share_draws_and_order(tmp_path):
    """Two trials of equal hyperparameters are the same trial."""

    def build(hp):
        hp.Int("nothing", 0, 1000)
        fixed = keras_tuner.HyperParameters()
        fixed.Fixed("alpha", 0.1)
        fixed.Fixed("learning_rate", 0.01)
        fixed.Fixed("width", 4)
        return make_build(middle="dropout")(fixed)

    _, results = search(build, tmp_path)
    assert len({tuple(history["loss"]) for history, _ in results}) == 1


def test_through_fit_as_well(tmp_path):
    """A callback with a hook for batches sends all trials through `fit` on the reused model."""
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    build = make_build(middle="all")
    used, results = search(build, tmp_path / "used", callbacks=[callback])
    _, expected = search(build, tmp_path / "fresh", forget=True, callbacks=[callback])
    assert [history for history, _ in results] == [history for history, _ in expected]
    assert len(used._trainer._programs._programs) == 1


def test_a_learning_rate_that_a_callback_lowered_starts_anew(tmp_path):
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 10)
    build = make_build()
    _, results = search(build, tmp_path / "used", callbacks=[callback])
    _, expected = search(build, tmp_path / "fresh", forget=True, callbacks=[callback])
    assert [history for history, _ in results] == [history for history, _ in expected]
