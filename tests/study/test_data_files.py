"""DATA.npz of any shape, dtype and targets: what is taken, what is split off, what is refused."""

import re

import keras
import numpy as np
import pandas as pd
import pytest

from keras_leaky.study.data_files import check_fit, read_data, read_inputs
from keras_leaky.study.errors import InputError
from tests.study.data_arrays import write_data, write_table

N = 200
CLASSES = np.arange(N) % 3


def read_table(folder, targets, **changes):
    return read_data(write_table(folder, targets, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "must hold the arrays x_train, y_train. Missing: x_train"),
        ({"y_test": None}, "must hold `y_test` too, because it holds `x_test`"),
        ({"y_val": np.zeros(3, int)}, "must hold `x_val` too, because it holds `y_val`"),
        ({"x_train": np.zeros((0, 28, 28))}, "`x_train` must hold at least one example"),
        ({"x_train": np.zeros((400, 0))}, "`x_train` must have no axis of length 0"),
        ({"x_train": np.zeros((400, 28, 28), complex)}, "`x_train` must hold numbers.* complex128"),
        ({"x_train": np.zeros((400, 28, 28), "M8[s]")}, "`x_train` must hold numbers"),
        ({"x_train": np.full((400, 28, 28), "a")}, "`x_train` must hold numbers"),
        ({"x_train": np.zeros((400, 28, 28), [("a", "u1")])}, "`x_train` must hold numbers"),
        ({"x_train": np.uint8(0)}, "`x_train` must have one entry per example"),
        ({"y_train": np.int64(0)}, "`y_train` must have one entry per example"),
        ({"y_train": np.arange(399) % 10}, "`y_train` must have the length of `x_train`, 400. Rec"),
        ({"y_train": np.array([None] * 400)}, "could not be read"),  # pickled
        (
            {"x_test": np.zeros((100, 28, 27), "uint8")},
            r"shape of `x_train`, \(n, 28, 28\)\. Rec.*27\)",
        ),
        ({"y_test": np.zeros((100, 2))}, r"the shape of `y_train`, \(n,\)\. Received: \(n, 2\)"),
        ({"x_train": np.full((400, 28, 28), np.nan)}, "`x_train` must be finite.* 313,600 of 313,"),
        ({"x_test": np.full((100, 28, 28), np.inf)}, "`x_test` must be finite"),
        ({"x_train": np.full((400, 28, 28), 1e300)}, "must fit into float32.* up to 1e.300"),
        ({"y_train": np.full(400, np.nan), "y_test": np.zeros(100)}, "`y_train` must be finite"),
        (
            {"y_train": np.full(400, 7), "y_test": np.full(100, 7)},
            "two classes.* only the label 7",
        ),
        ({"y_train": np.arange(400) % 9}, "`y_test` must hold labels that `y_train` has.* 9"),
        (
            {"y_test": np.full(100, "3")},
            "labels of type int, as y_train.* str",
        ),
        ({"y_train": np.arange(400)}, "400 different whole numbers in 400 .* save them as floats"),
        ({"source": np.array(["a", "b"])}, "`source` must be one string"),
        ({"source": np.array(b"bytes")}, "`source` must be one string"),
        ({"source": np.array("a" * 201)}, "`source` must be one string of up to 200 characters"),
        ({"source": np.array("a\x1b[2Jb")}, r"`source` must be printable. Received: 'a\\x1b\[2Jb'"),
        ({"source": np.array("")}, "`source` must be printable"),
    ],
)
def test_wrong_arrays_are_refused_in_a_sentence(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as error:
        read_data(write_data(tmp_path, **changes))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_broken_file_is_refused(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(InputError, match="could not be read"):
        read_data(tmp_path / "data.npz")


def test_for_a_table_the_command_is_told_that_makes_an_npz_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 3)), columns=list("abc"))
    table.assign(TARGET=CLASSES).to_csv("table.csv", index=False)
    with pytest.raises(
        InputError, match=r"must be an \.npz file\. Received: --data .*csv"
    ) as error:
        read_data(tmp_path / "table.csv")
    code = re.search('python -c "(.*)"', str(error.value))
    assert code
    exec(code[1])
    data = read_data(tmp_path / "table.npz")
    assert data.train.x.shape[1:] == (3,)


def test_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must be an \.npz file\. .* which does not exist"):
        read_data(tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("targets", "n", "labels"),
    [
        (CLASSES, 3, (0, 1, 2)),
        (CLASSES[:, None], 3, (0, 1, 2)),
        (CLASSES.astype("uint8") + 5, 3, (5, 6, 7)),
        (CLASSES.astype(">i8") - 1, 3, (-1, 0, 1)),
        (CLASSES == 0, 2, (0, 1)),
        (np.array(["cat", "dog", "eel"])[CLASSES], 3, (0, 1, 2)),
        (np.array([b"x", b"y", b"z"])[CLASSES], 3, (0, 1, 2)),
    ],
)
def test_labels_of_any_kind_are_classes(tmp_path, targets, n, labels):
    data = read_table(tmp_path, targets)
    assert (data.targets.kind, data.targets.n, data.targets.labels) == ("classes", n, labels)
    assert data.train.y.dtype.kind in "iu"
    assert data.train.y.dtype.isnative
    y = np.concatenate([part.y for part in data.with_classes_from_0().parts.values()])
    assert np.bincount(y).tolist() == np.unique(targets, return_counts=True)[1].tolist()


def test_labels_that_are_numbers_stay_as_they_are_for_a_net_of_ones_own(tmp_path):
    data = read_table(tmp_path, CLASSES + 5)
    assert set(data.train.y) == {5, 6, 7}
    data = read_table(tmp_path, np.array(["b", "a"])[CLASSES % 2])
    assert set(data.train.y) == {0, 1}
    assert "The labels 'a', 'b' have become the classes 0 to 1." in data.notes


def test_one_hot_rows_are_classes(tmp_path):
    data = read_table(tmp_path, np.eye(3, dtype="float32")[CLASSES])
    assert (data.targets.kind, data.targets.n) == ("one_hot", 3)
    assert data.train.y.shape[1:] == (3,)
    assert set(data.with_classes_from_0().train.y) == {0, 1, 2}


@pytest.mark.parametrize(
    ("targets", "n"),
    [
        (np.linspace(0, 1, N), 1),
        (np.linspace(0, 1, N)[:, None].astype("float16"), 1),
        (np.random.default_rng(0).normal(size=(N, 4)), 4),
    ],
)
def test_real_targets_are_numbers_and_split_at_random(tmp_path, targets, n):
    data = read_table(tmp_path, targets)
    assert (data.targets.kind, data.targets.n) == ("numbers", n)
    assert all("at random" in note for note in data.notes)
    assert data.with_classes_from_0().train.y is data.train.y


def test_whole_numbers_as_floats_are_told(tmp_path):
    data = read_table(tmp_path, CLASSES.astype("float32"))
    assert data.targets.kind == "numbers"
    assert "treats them as amounts. If they are classes, save them as integers" in data.notes[0]


@pytest.mark.parametrize("targets", [np.eye(3)[CLASSES] + np.eye(3)[0] > 0, np.zeros((N, 4, 2))])
def test_other_targets_are_left_to_a_net_of_ones_own(tmp_path, targets):
    assert read_table(tmp_path, targets).targets.kind == "other"


def test_missing_parts_are_split_off_stratified_and_always_the_same(tmp_path):
    data, again = read_table(tmp_path, CLASSES), read_table(tmp_path, CLASSES)
    assert [len(part) for part in data.parts.values()] == [136, 24, 40]
    assert np.bincount(data.test.y).tolist() == [14, 13, 13]
    assert np.bincount(data.val.y).tolist() == [8, 8, 8]
    for one, other in zip(data.parts.values(), again.parts.values(), strict=True):
        np.testing.assert_array_equal(one.x, other.x)
    rows = np.concatenate([part.x for part in data.parts.values()])
    assert len(np.unique(rows, axis=0)) == N
    text = "data.npz has no x_test: 40 of its 200 training examples are held out as test data"
    assert data.notes[0].startswith(text)
    assert "x_val: 24 of its 160 training" in data.notes[1]


def test_parts_that_are_there_are_taken(tmp_path):
    parts = {f"{x}_{part}": None for x in "xy" for part in ("val", "test")}
    x = np.zeros((50, 6))
    data = read_table(tmp_path, CLASSES, **{**parts, "x_test": x, "y_test": CLASSES[:50]})
    assert [len(part) for part in data.parts.values()] == [170, 30, 50]
    data = read_table(tmp_path, CLASSES, **{**parts, "x_val": x, "y_val": CLASSES[:50]})
    assert [len(part) for part in data.parts.values()] == [160, 50, 40]


@pytest.mark.parametrize("n", [1, 2])
def test_a_class_too_small_to_split_is_named(tmp_path, n):
    targets = CLASSES.copy()
    targets[:n] = 9
    with pytest.raises(InputError, match=r"at least 3 examples of each.* 1 left of class 9\. Le"):
        read_table(tmp_path, targets)


def test_rows_that_are_there_many_times_are_told(tmp_path):
    with pytest.raises(InputError, match=r"must hold each row once.* 40 of 40 rows that were"):
        read_table(tmp_path, CLASSES, x_train=np.ones((N, 6)))
    x = np.random.default_rng(0).normal(size=(N, 6))
    x[:4] = 1
    assert len(read_table(tmp_path, CLASSES, x_train=x).test) == 40


def test_source_in_the_file_names_the_data(tmp_path):
    data = read_table(tmp_path, CLASSES, source=np.array("Iris (a copy)"))
    assert data.source == "Iris (a copy), from data.npz"


def test_arrays_in_fortran_order_and_another_byte_order_are_read(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 3, 4))
    for own in (np.asfortranarray(x), x.astype(">f8"), x.astype(">f4", order="F")):
        data = read_table(
            tmp_path, np.linspace(0, 1, N), x_train=own, x_test=own, y_test=x[:, 0, 0]
        )
        assert data.test.x.dtype.isnative
        assert data.test.x.flags.c_contiguous
        np.testing.assert_allclose(data.test.x, x, rtol=1e-6)


@pytest.mark.parametrize(
    ("left_out", "name"), [((), "x_val"), (("val",), "x_test"), (("val", "test"), "x_train")]
)
def test_inputs_to_look_at_a_model_with(tmp_path, left_out, name):
    x = {"x_train": 1.0, "x_val": 2.0, "x_test": 3.0}
    arrays = {k: np.full((120, 6), v) for k, v in x.items() if k[2:] not in left_out}
    arrays |= {f"y_{part}": None for part in ("train", "val", "test")}
    absent = {f"x_{part}": None for part in left_out}
    found, array = read_inputs(write_data(tmp_path, **arrays, **absent))
    assert found == name
    assert array[0, 0] == x[name]


def test_inputs_that_are_not_there_are_named(tmp_path):
    path = write_data(tmp_path, x_train=None, x_test=None)
    with pytest.raises(InputError, match="must hold one of the arrays x_val, x_test, x_train"):
        read_inputs(path)


def make_model(n_out, loss, *layers, shape=(6,)):
    model = keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(n_out)])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    ("targets", "n_out", "loss", "message"),
    [
        (CLASSES, 3, "sparse_categorical_crossentropy", None),
        (CLASSES, 4, keras.losses.SparseCategoricalCrossentropy(), None),
        (CLASSES, 2, "sparse_categorical_crossentropy", "2 outputs, and labels from 0 to 2"),
        (CLASSES + 1, 3, keras.losses.SparseCategoricalCrossentropy(), "labels from 1 to 3"),
        (CLASSES - 1, 3, "sparse_categorical_crossentropy", "labels from -1 to 1"),
        (CLASSES, 3, "categorical_crossentropy", "must compile sparse_categorical_crossentropy"),
        (CLASSES, 1, "binary_crossentropy", "labels from 0 to 2"),
        (CLASSES % 2, 1, "binary_crossentropy", None),
        (CLASSES == 1, 1, "binary_crossentropy", None),
        (CLASSES, 1, "mse", None),
        (np.eye(3)[CLASSES], 3, "categorical_crossentropy", None),
        (np.eye(3)[CLASSES], 3, "sparse_categorical_crossentropy", "for one-hot rows. Received: "),
        (np.eye(3)[CLASSES], 4, "categorical_crossentropy", "3 outputs, one for each class"),
        (np.linspace(0, 1, N), 1, "mse", None),
        (np.linspace(0, 1, N), 2, "mse", "one output for each target number of an example, 1"),
        (np.linspace(0, 1, N), 1, "binary_crossentropy", "must compile a loss for real targets"),
    ],
)
def test_loss_and_outputs_fit_the_targets(tmp_path, targets, n_out, loss, message):
    data, model = read_table(tmp_path, targets), make_model(n_out, loss)
    if message is None:
        assert check_fit(model, data) == []
        return
    with pytest.raises(InputError, match=message):
        check_fit(model, data)


def test_inputs_of_another_shape_or_number_are_told(tmp_path):
    data = read_table(tmp_path, CLASSES)
    loss = "sparse_categorical_crossentropy"
    with pytest.raises(InputError, match=r"inputs of shape \(6,\).* for inputs of shape \(5,\)"):
        check_fit(make_model(3, loss, shape=(5,)), data)
    inputs = [keras.Input((6,)), keras.Input((6,))]
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Add()(inputs)))
    model.compile("sgd", loss)
    with pytest.raises(InputError, match="a net with 2 inputs"):
        check_fit(model, data)


def scale_in_a_model(layer):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(3)(layer(inputs)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("layer", "is_told"),
    [
        (keras.layers.Activation("linear"), True),
        (keras.layers.Rescaling(1 / 255), False),
        (keras.layers.BatchNormalization(), False),
        (lambda x: x / 255, False),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pixels_that_nothing_rescales_are_told(tmp_path, layer, is_told, dtype):
    x = np.random.default_rng(0).integers(0, 256, (N, 6)).astype(dtype)
    x[0] = 0, 255, 0, 0, 0, 0
    data = read_table(tmp_path, CLASSES, x_train=x)
    notes = check_fit(scale_in_a_model(layer), data)
    assert bool(notes) == is_told
    assert not is_told or "to 255, and no layer of the net rescales them" in notes[0]


def test_values_of_another_scale_are_let_be(tmp_path):
    x = np.random.default_rng(0).random((N, 6))
    for own in (x, 1000 * (x - 0.5)):
        data = read_table(tmp_path, CLASSES, x_train=own)
        assert not check_fit(make_model(3, "sparse_categorical_crossentropy"), data)
