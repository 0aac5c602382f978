"""Seven rectifiers on CIFAR-10: each at its own best rate, ten paired seeds, tested once."""

import time
from functools import partial
from typing import Any

from keras_leaky.study import Arm, Study
from keras_leaky.tuning import Trainer
from recipes.datasets import Split, load, split
from recipes.nets import Net

ARMS = {
    "relu": ("relu", None),
    "leaky_relu_0.01": ("leaky_relu", 0.01),
    "leaky_relu_0.1": ("leaky_relu", 0.1),
    "leaky_relu_0.3": ("leaky_relu", 0.3),
    "prelu": ("prelu", 0.25),
    "elu": ("elu", 1.0),
    "rrelu": ("rrelu", None),
}
RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
SEARCH_SEED, SEEDS = 1, range(101, 111)
NET, BATCH_SIZE, N_EPOCHS = "vgg_bn", 512, 15


def list_arm_jobs(options):
    """A job an arm."""
    trainer, data = Trainer(), {}
    return {name: partial(measure, options, name, trainer, data) for name in ARMS}


def measure(options, name, trainer, data):
    """Rows of the rates, then of the seeds at the best of them."""
    activation, alpha = ARMS[name]
    name_of_net, n_epochs, rates, seeds = NET, N_EPOCHS, RATES, SEEDS
    if options.small:
        name_of_net, n_epochs, rates, seeds = "cnn_bn", 1, RATES[:2], SEEDS[:2]
    if not data:
        data["images"] = load_images(options)
    images: Split = data["images"]
    net = Net(
        name=name_of_net,
        image_shape=images.image_shape,
        n_classes=images.n_classes,
        n_steps=-(-len(images.x_train) // BATCH_SIZE),
        n_epochs=n_epochs,
        augment=not options.small,
        precision="float32" if options.small else "mixed_bfloat16",
    )
    # It builds the models, and makes no folder: the rates of all arms are the few above.
    arms = [] if name == "relu" else [Arm(activation, alpha, name=name)]
    study = Study(net, arms=arms, directory=options.out / "no-study")

    def train(rate, seed, x, y):
        """Accuracy on (x, y) after the last epoch, and seconds."""
        start = time.perf_counter()
        build = partial(study.build_model, name, {"learning_rate": rate})
        quiet: Any = 0
        _, history = trainer.train(
            trainer.build(build, seed),
            images.x_train,
            images.y_train,
            seed=seed,
            validation_data=(x, y),
            epochs=n_epochs,
            batch_size=BATCH_SIZE,
            verbose=quiet,
        )
        accuracy = history.history["val_accuracy"][-1]
        return round(accuracy, 5), round(time.perf_counter() - start, 3)

    rows = []
    for rate in rates:
        accuracy, seconds = train(rate, SEARCH_SEED, images.x_validation, images.y_validation)
        rows.append(make_row(name, rate, SEARCH_SEED, accuracy, None, seconds))
    best = max(rows, key=lambda row: row["val_accuracy"])["learning_rate"]
    for seed in seeds:
        accuracy, seconds = train(best, seed, images.x_test, images.y_test)
        rows.append(make_row(name, best, seed, None, accuracy, seconds))
    return rows


def make_row(arm, rate, seed, val_accuracy, test_accuracy, seconds):
    return {
        "arm": arm,
        "learning_rate": rate,
        "seed": seed,
        "val_accuracy": val_accuracy,
        "test_accuracy": test_accuracy,
        "seconds": seconds,
    }


def load_images(options):
    data, limit = ("synthetic", 400) if options.small else ("cifar10", None)
    return split(load("cifar10", data, options.data_dir), limit)
