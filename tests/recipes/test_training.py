import keras
import numpy as np
import pytest

from keras_leaky.initializers import gain
from keras_leaky.tuning import Trainer
from recipes.common.data import DATASETS, load, split
from recipes.common.models import build_model
from recipes.common.search_options import MnistOptions
from recipes.common.space import Arm, Axis
from recipes.common.training import train

SGD_MLP = MnistOptions(model="mlp", optimizer="sgd", precision="float32", batch_size=50)


@pytest.fixture(scope="module")
def data():
    return split(load(DATASETS["mnist"], "synthetic", None), 300)


def arm(activation, model="mlp"):
    """What `build_model` reads of one: activation and net."""
    return Arm(activation, activation, 0.1, Axis(0.1, 1, log=True), model, "random", 1)


def run(data, alpha=0.1, learning_rate=1e-3, seed=3, n_epochs=2, activation="leaky_relu"):
    epochs = []
    training = train(
        Trainer(),
        lambda: build_model(SGD_MLP, data, arm(activation), alpha, learning_rate, n_epochs),
        data,
        seed=seed,
        n_epochs=n_epochs,
        batch_size=50,
        on_epoch=epochs.append,
    )
    return training, epochs


def test_same_seed_gives_the_same_bits(data):
    first, again, other = run(data)[0], run(data)[0], run(data, seed=4)[0]
    assert first.epochs == again.epochs
    for a, b in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.epochs != other.epochs


def test_trials_start_from_the_same_draws_but_for_the_gain(data):
    def weights(activation, alpha):
        keras.utils.set_random_seed(5)
        model = build_model(SGD_MLP, data, arm(activation, "cnn"), alpha, 0.1)
        return [w.numpy() for w in model.trainable_variables if w.name == "kernel"]

    relu, leaky, prelu = weights("relu", None), weights("leaky_relu", 0.5), weights("prelu", 0.5)
    for a, b, c in zip(relu[:-1], leaky[:-1], prelu[:-1], strict=True):
        np.testing.assert_allclose(b, a / (1 + 0.5**2) ** 0.5, rtol=1e-5)
        np.testing.assert_array_equal(b, c)
    # RReLU's own numbers come from elsewhere, or they would shift those of the weights.
    factors = {"celu": gain("celu", 0.5), "selu": gain("selu"), "rrelu": gain("rrelu")}
    for activation, factor in factors.items():
        alpha = 0.5 if activation == "celu" else None
        for a, b in zip(relu[:-1], weights(activation, alpha)[:-1], strict=True):
            np.testing.assert_allclose(b, a * factor / gain("relu"), rtol=1e-5)
    np.testing.assert_array_equal(relu[-1], leaky[-1])  # the logits have no rectifier behind them


def test_randomness_of_rrelu_follows_the_seed(data):
    first, again, other = (
        run(data, alpha=None, activation="rrelu", seed=seed)[0].epochs for seed in (3, 3, 4)
    )
    assert first == again != other


def test_trials_see_the_same_images_in_the_same_order(data):
    def order(activation, alpha, seed):
        """A number for every epoch that depends on the order of the labels and on nothing else."""
        numbers = []

        class RankedLabels(keras.metrics.Mean):
            def update_state(self, y_true, y_pred, sample_weight=None):
                ranks = keras.ops.arange(keras.ops.shape(y_true)[0], dtype="float32")
                super().update_state(ranks * keras.ops.cast(keras.ops.ravel(y_true), "float32"))

            def reset_state(self):  # at the start of training and of validation
                numbers.append(float(self.result()))
                super().reset_state()

        def build():
            model = build_model(SGD_MLP, data, arm(activation), alpha, 0.1)
            model.compile(model.optimizer, model.loss, metrics=["accuracy", RankedLabels()])
            return model

        train(Trainer(), build, data, seed=seed, n_epochs=2, batch_size=50, on_epoch=lambda _: None)
        return [number for number in numbers if number]

    expected = order("relu", None, seed=1)
    assert order("leaky_relu", 0.3, seed=1) == expected
    assert order("prelu", 0.1, seed=1) == expected
    assert len(set(expected)) == 3, expected  # training, validation twice the same, training
    assert order("relu", None, seed=2) != expected


def test_model_is_as_its_best_epoch_left_it(data):
    # A rate this high makes the accuracy jump up and down, so the last epoch is not the best.
    training, _ = run(data, learning_rate=0.4, n_epochs=8)
    assert training.best is not None
    accuracies = [epoch.val_accuracy for epoch in training.epochs]
    assert training.best.epoch == int(np.argmax(accuracies)) + 1 < 8
    logits = training.model.predict(data.x_validation, verbose=0)
    accuracy = np.mean(np.argmax(logits, 1) == data.y_validation)
    assert accuracy == pytest.approx(training.best.val_accuracy)


def test_loss_that_is_not_finite_ends_training(data):
    training, epochs = run(data, learning_rate=1e30, n_epochs=5)
    assert training.failure == "training loss became nan in epoch 1"
    assert len(training.epochs) == 1
    assert training.best is None
    assert epochs == []
