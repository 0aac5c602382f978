import dataclasses
from pathlib import Path

import numpy as np
import pytest

from keras_leaky.study import InputError
from recipes import datasets
from recipes.datasets import load, split
from tests.recipes.image_files import write_mnist


@pytest.fixture
def mnist_folder(tmp_path):
    write_mnist(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "Missing: x_test"),
        ({"x_train": np.zeros((400, 28, 27), "uint8")}, r"`x_train` must have shape \(n, 28, 28\)"),
        ({"x_train": np.zeros((400, 28, 28), "float32")}, "`x_train` must be uint8"),
        ({"x_train": np.ones((400, 28, 28), "uint8")}, "raw pixels from 0 to 255"),
        (
            {"x_test": np.zeros((0, 28, 28), "uint8"), "y_test": np.zeros(0, "int64")},
            "at least 100",
        ),
        ({"y_train": np.arange(399) % 10}, r"`y_train` must have shape \(400,\)"),
        ({"y_train": np.arange(400) % 10 + 1}, "labels 0 to 9"),
        ({"y_train": np.arange(400) % 9}, "labels 0 to 9"),
        ({"y_train": np.arange(400) % 10 - 1}, "labels 0 to 9"),
        ({"y_train": (np.arange(400) % 10).astype("float64")}, "`y_train` must be integers"),
        ({"y_train": np.array([None] * 400)}, "could not be read"),  # pickled
        ({"y_train": np.arange(400) % 10 % np.where(np.arange(400) < 250, 9, 10)}, "at least 20"),
        ({"source": np.array(["a", "b"])}, "could not be read"),
        ({"source": np.array(b"bytes")}, "`source` must be one string"),
        ({"source": np.array("a" * 201)}, "`source` must be one string of up to 200 characters"),
        ({"source": np.array("a\x1b[2Jb")}, r"`source` must be printable. Received: 'a\\x1b\[2Jb'"),
        ({"source": np.array("")}, "`source` must be printable"),
        ({"x_train": np.full((400, 28, 28), np.nan)}, "`x_train` must be uint8.* dtype float64"),
        ({"x_train": np.zeros((400, 28, 28), [("a", "u1")])}, "`x_train` must be uint8"),
        ({"x_train": np.uint8(0)}, r"`x_train` must have shape \(n, 28, 28\). Received: \(\)"),
        ({"y_train": (np.arange(400) % 10).astype("m8[s]")}, "`y_train` must be integers"),
        ({"y_train": np.arange(400)}, "`y_train` must hold the labels 0 to 9"),
        ({"y_train": np.full(400, 2**63, "uint64")}, "`y_train` must hold the labels 0 to 9"),
        ({"y_train": np.int64(0)}, r"`y_train` must have shape \(400,\)"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, changes, message):
    write_mnist(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        load("mnist", "auto", tmp_path)


def test_folder_without_the_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must hold mnist\.npz"):
        load("mnist", "auto", tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_broken_file_is_refused(tmp_path, content):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(InputError, match="could not be read"):
        load("mnist", "auto", tmp_path)


def test_truncated_file_is_refused(tmp_path):
    path = write_mnist(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="could not be read"):
        load("mnist", "auto", tmp_path)


def test_more_images_than_a_machine_holds_are_refused(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    monkeypatch.setattr("recipes.datasets.MAX_IMAGES", 399)
    with pytest.raises(InputError, match=r"`x_train` must hold at most 399 images. Received: 400"):
        load("mnist", "auto", tmp_path)


def test_source_in_the_file_names_the_data(tmp_path):
    write_mnist(tmp_path, source=np.array("MNIST (a copy)"))
    images = load("mnist", "auto", tmp_path)
    assert images.source.startswith("MNIST (a copy), from ")
    assert images.warning is None


def test_file_that_is_not_what_its_name_says_is_titled_as_what_it_is(tmp_path):
    write_mnist(tmp_path)
    images = load("mnist", "auto", tmp_path)
    assert images.title == "the images in mnist.npz (not MNIST)"
    assert "does not hold MNIST" in (images.warning or "")
    for name, title in (("cifar10", "CIFAR-10"), ("cifar100", "CIFAR-100")):
        made = load(name, "synthetic")
        arrays = (made.x_train, made.y_train, made.x_test, made.y_test)
        parts = dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True))
        np.savez(tmp_path / f"{name}.npz", **parts)
        assert load(name, "auto", tmp_path).title == f"the images in {name}.npz (not {title})"


def test_cifar_is_known_by_the_sums_of_its_colors(tmp_path, monkeypatch):
    write_cifar10(tmp_path)
    images = load("cifar10", "auto", tmp_path)
    own = datasets.fingerprint("cifar10", images.x_train, *[images.y_train] * 3)
    known = dataclasses.replace(datasets.DATASETS["cifar10"], fingerprint=own)
    monkeypatch.setitem(datasets.DATASETS, "cifar10", known)
    assert load("cifar10", "auto", tmp_path).title == "CIFAR-10"


def test_a_new_gray_data_set_is_known_by_all_its_arrays(tmp_path, monkeypatch):
    """Gray images have no colors to sum."""
    write_mnist(tmp_path)
    (tmp_path / "mnist.npz").rename(tmp_path / "fashion.npz")
    new = dataclasses.replace(datasets.DATASETS["mnist"], name="fashion", title="Fashion-MNIST")
    monkeypatch.setitem(datasets.DATASETS, "fashion", new)
    images = load("fashion", "auto", tmp_path)
    assert images.title == "the images in fashion.npz (not Fashion-MNIST)"
    arrays = images.x_train, images.y_train, images.x_test, images.y_test
    own = datasets.fingerprint("fashion", *arrays)
    monkeypatch.setitem(datasets.DATASETS, "fashion", dataclasses.replace(new, fingerprint=own))
    assert load("fashion", "auto", tmp_path).title == "Fashion-MNIST"


def write_cifar10(folder):
    made = load("cifar10", "synthetic")
    np.savez(
        folder / "cifar10.npz",
        x_train=made.x_train,
        y_train=made.y_train[:, None],
        x_test=made.x_test,
        y_test=made.y_test[:, None],
    )


def test_labels_of_shape_n_1_are_understood(tmp_path):
    write_mnist(tmp_path, y_train=(np.arange(400) % 10)[:, None])
    assert load("mnist", "auto", tmp_path).y_train.shape == (400,)


def test_validation_is_stratified_disjoint_and_always_the_same(mnist_folder):
    arrays = load("mnist", "auto", mnist_folder)
    data, again = split(arrays, None), split(arrays, 100)
    assert (len(data.x_train), len(data.x_validation), len(again.x_train)) == (340, 60, 100)
    assert np.bincount(data.y_validation).tolist() == [6] * 10
    assert np.bincount(again.y_train).tolist() == [10] * 10
    np.testing.assert_array_equal(data.x_validation, again.x_validation)
    rows = {image.tobytes() for image in data.x_train}
    assert not rows & {image.tobytes() for image in data.x_validation}
    assert {image.tobytes() for image in again.x_train} <= rows


@pytest.mark.parametrize(("n", "n_validation"), [(60_000, 9_000), (50_000, 7_500)])
def test_validation_sizes_of_the_real_data_sets(mnist_folder, n, n_validation):
    arrays = load("mnist", "auto", mnist_folder)
    large = dataclasses.replace(arrays, x_train=np.zeros((n, 1)), y_train=np.arange(n) % 10)
    assert len(split(large, None).x_validation) == n_validation


def test_train_limit_that_loses_a_class_is_refused(tmp_path):
    labels = np.arange(2000) % 9
    labels[:20] = 9
    write_mnist(tmp_path, x_train=np.full((2000, 28, 28), 7, "uint8"), y_train=labels)
    arrays = load("mnist", "auto", tmp_path)
    assert len(np.unique(split(arrays, None).y_validation)) == 10
    with pytest.raises(InputError, match="some are rare"):
        split(arrays, 12)


def test_unreadable_path_is_refused():
    with pytest.raises(InputError, match="cannot be read"):
        load("mnist", "auto", Path("/" + "x" * 300))


@pytest.mark.parametrize("limit", [1, 9, 335])
def test_train_limit_needs_every_class_on_both_sides(mnist_folder, limit):
    with pytest.raises(InputError, match=f"--train-limit {limit}"):
        split(load("mnist", "auto", mnist_folder), limit)


def test_digits_say_that_they_are_not_mnist():
    arrays = load("mnist", "digits")
    data = split(arrays, None)
    assert "not for MNIST" in (arrays.warning or "")
    assert len(data.x_train) + len(data.x_validation) + len(data.x_test) == 1797
    assert (len(data.x_test), len(data.x_validation)) == (360, 359)  # 20 % of 1,797 is 359.4
    assert data.x_train.shape[1:] == (8, 8)
    assert data.x_train.max() == 255
    assert 0.25 < data.x_train.mean() / 255 < 0.35


def test_synthetic_data_say_that_they_are_nothing():
    arrays = load("cifar10", "synthetic")
    assert arrays.x_train.shape[1:] == (32, 32, 3)
    assert "synthetic" in (arrays.warning or "")
