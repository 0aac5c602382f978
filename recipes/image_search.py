"""The search of mnist, cifar10 and cifar100, from images to page. Copy it for your own recipe."""

from keras_leaky.study import About, Arm, Outcome, Study
from keras_leaky.study.command_line import run_study
from keras_leaky.study.precision import choose_precision
from recipes import datasets
from recipes.flags import SearchFlags
from recipes.nets import Net


def search(dataset: str, flags: SearchFlags) -> Outcome | None:
    """Searches one activation on images. None for a dry run."""
    # The data: training, validation and test images, the same ones in every run.
    images = datasets.load(dataset, flags.data, flags.data_dir)
    data = datasets.split(images, flags.train_limit)

    # The arms: the activation that was asked for. ReLU is always compared too.
    arms = [] if flags.activation == "relu" else [Arm(flags.activation, flags.alpha_range)]

    # The net: a function of KerasTuner's `hp` and of the arm's rectifier.
    n_epochs = flags.n_epochs(images.n_epochs)

    def net(precision: str) -> Net:
        return Net(
            name=flags.model,
            image_shape=data.image_shape,
            n_classes=data.n_classes,
            n_steps=-(-len(data.x_train) // flags.batch_size),
            n_epochs=n_epochs,
            learning_rate_range=flags.learning_rate_range,
            optimizer=flags.optimizer,
            augment=flags.augments(flags.model),
            precision=precision,
        )

    precision, why = choose_precision(
        flags.precision, net, *data.train, batch_size=flags.batch_size,
        is_remote=flags.scheduler is not None,
    )  # fmt: skip
    print(f"Precision: {precision} ({why})")

    # The study: every arm under the same budget, the best points again, one test, a page.
    study = Study(
        net(precision),
        arms=arms,
        about=About(
            title=images.title,
            data_source=f"{images.source}: {data}",
            warning=images.warning or "",
            options=flags.options(data=images.kind, epochs=n_epochs, precision=precision),
        ),
        **flags.study_arguments(f"{dataset}-{flags.activation}"),
    )
    return run_study(
        study, flags, *data.train, validation_data=data.validation, test_data=data.test,
        epochs=n_epochs,
    )  # fmt: skip
