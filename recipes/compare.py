"""Compare activations, each at its own best learning rate: `python -m recipes.compare --help`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from keras_leaky.study.command_line import run_nets, run_program
from keras_leaky.study.flags import Count, require
from recipes.flags import ImageFlags

DEFAULT_MODELS = {"mnist": "mlp", "cifar10": "cnn"}
DEFAULT_DEPTHS = {"mlp": (2, 8), "cnn": (1, 2), "vgg": (1, 2)}
MAX_DEPTH = 100


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """The flags for the arms and the nets.

    Attributes:
        dataset: The images.
        activations: Arms to compare with relu, which is always included. NAME=ALPHA fixes alpha. A
            name alone searches alpha too, with as many trials as the other arms have for their
            learning rate. rrelu draws slopes from 1/8 to 1/3. celu with alpha 1 is elu.
        depths: Depths of the nets. mlp: number of hidden layers of 100 units, 2 and 8 by default.
            cnn and vgg: number of convolutions at each resolution, 1 and 2 by default.
        batch_norm: Train nets without batch normalization, with it, or both.
    """

    dataset: Literal["mnist", "cifar10"]
    activations: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ARM [ARM ...]")] = (
        *("leaky_relu=0.01", "leaky_relu=0.1", "leaky_relu=0.3", "leaky_relu", "prelu=0.25"),
        *("elu=1", "celu=0.5", "selu", "rrelu"),
    )
    depths: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="N [N ...]")] = None
    batch_norm: Literal["no", "yes", "both"] = "both"


# A dataclass takes the fields of its last base first: what is compared leads the help.
@dataclass(frozen=True)
class CompareFlags(ImageFlags, _Compared):
    """Which activation is best, each at its own best learning rate? Compared with ReLU.

    Searches the learning rate of every activation in every net, with the same number of trials and
    the same proposals. Retrains the best point of each with several seeds. Evaluates it once on the
    held-out test split. Writes a page with pictures and a verdict.

    Example: python -m recipes.compare --dataset mnist --output runs/compare

    Attributes:
        trials: Trials of each arm in each net, 6 by default.
        model: mlp has hidden layers of 100 units, cnn is a small convolutional net for a CPU, vgg a
            wider one for a GPU. auto takes mlp for mnist and cnn for cifar10.
        data: auto takes the data set; for mnist it takes scikit-learn's 1,797 digits if MNIST
            cannot be loaded. synthetic takes made-up images, to try the machinery.
    """

    program: ClassVar[str] = "python -m recipes.compare"
    finalists: Count = 1
    seeds: Count = 8
    model: Literal["auto", "mlp", "cnn", "vgg"] = "auto"
    data: Literal["auto", "mnist", "cifar10", "digits", "synthetic"] = "auto"

    @classmethod
    def find_study(cls, folder: Path) -> Path | None:
        """The study.json of one of the nets, each of which has its own folder."""
        return next(iter(sorted(folder.glob("*/study.json"))), None)

    def check(self) -> None:
        super().check()
        known = ["auto", self.dataset, "synthetic"]
        if self.dataset == "mnist":
            known.append("digits")
        rule = f"one of {', '.join(known)} with --dataset {self.dataset}"
        require(self.data in known, "data", rule, self.data)
        rule = f"different whole numbers from 1 to {MAX_DEPTH}"
        depths = self.depths or (1,)
        holds = len(set(depths)) == len(depths) and all(1 <= n <= MAX_DEPTH for n in depths)
        require(holds, "depths", rule, " ".join(map(str, depths)))

    def nets(self) -> dict[str, str]:
        """Title -> name of each net, the shallowest first, without normalization first."""
        model = DEFAULT_MODELS[self.dataset] if self.model == "auto" else self.model
        norms = {"no": [""], "yes": ["_bn"], "both": ["", "_bn"]}[self.batch_norm]
        found = {}
        for depth in sorted(self.depths or DEFAULT_DEPTHS[model]):
            unit = "hidden layer" if model == "mlp" else "convolution a resolution"
            if depth > 1:
                unit = unit.replace("layer", "layers").replace("ion a", "ions a")
            for norm in norms:
                title = f"{depth} {unit}, {'batch norm' if norm else 'no batch norm'}"
                found[title] = f"{model}{depth}{norm}"
        return found


def compare(flags: CompareFlags) -> None:
    """A study of each net, on the same images, and one page across them."""
    # After the flags, because they wait for Keras.
    from keras_leaky.study import About, Study
    from keras_leaky.study.precision import choose_precision
    from recipes import datasets
    from recipes.nets import Net

    images = datasets.load(flags.dataset, flags.data, flags.data_dir)
    data = datasets.split(images, flags.train_limit)
    names, n_epochs = flags.nets(), flags.n_epochs(images.n_epochs)

    def net(name: str, precision: str) -> Net:
        return Net(
            name=name,
            image_shape=data.image_shape,
            n_classes=data.n_classes,
            n_steps=-(-len(data.x_train) // flags.batch_size),
            n_epochs=n_epochs,
            learning_rate_range=flags.learning_rate_range,
            optimizer=flags.optimizer,
            augment=flags.augments(name),
            precision=precision,
        )

    first = next(iter(names.values()))
    precision, why = choose_precision(
        flags.precision,
        lambda precision: net(first, precision),
        *data.train,
        batch_size=flags.batch_size,
        is_remote=flags.scheduler is not None,
    )
    print(f"Precision: {precision} ({why})")

    arguments = flags.study_arguments(f"compare-{flags.dataset}")
    directory = arguments.pop("directory")
    if flags.tuner != "hyperband":
        arguments["trials"] = flags.trials or 6
    options = flags.options(data=images.kind, epochs=n_epochs, precision=precision)
    studies = {
        title: Study(
            net(name, precision),
            arms=flags.activations,
            about=About(
                title=f"{images.title}, {title}",
                data_source=f"{images.source}: {data}",
                warning=images.warning or "",
                options=options,
            ),
            directory=directory / name,
            **arguments,
        )
        for title, name in names.items()
    }
    run_nets(
        studies,
        flags,
        *data.train,
        directory=directory,
        title=images.title,
        validation_data=data.validation,
        test_data=data.test,
        epochs=n_epochs,
    )


def main(arguments: list[str] | None = None) -> int:
    return run_program(CompareFlags, compare, arguments)


if __name__ == "__main__":
    sys.exit(main())
