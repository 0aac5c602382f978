"""`python -m recipes.plasticity`: its programs of many nets against one net by hand."""

import csv
import gzip
import subprocess
import sys

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from keras_leaky.study import InputError  # noqa: E402
from recipes.plasticity import permuted, regression, run_folder  # noqa: E402
from recipes.plasticity.arms import ELU, PRELU, count_units, derivative, fixed, rectify  # noqa: E402


@pytest.mark.parametrize("arm", [fixed(0), fixed(-0.5), fixed(0.3), PRELU, ELU])
def test_derivative_is_that_of_autodiff_and_at_0_the_slope(arm):
    for z in (-2.0, -1e-3, 0.0, 1e-3, 2.0):
        by_jax = jax.grad(lambda z: rectify(z, arm.slope, arm.is_elu))(z)
        assert by_jax == pytest.approx(float(derivative(z, arm.slope, arm.is_elu)))
    assert derivative(0.0, arm.slope, arm.is_elu) == np.float32(arm.slope)


def f(z, arm, slope):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)) if arm.is_elu else slope * z)


def df(z, arm, slope):
    return np.where(z > 0, 1, np.exp(np.minimum(z, 0)) if arm.is_elu else slope)


def test_regression_is_that_of_single_nets():
    """A bin of four short tasks, in float64 and by hand."""
    program = regression.Regression(2, 1, seed=3, examples_a_task=50)
    first = program.start()
    state, record = program.run(jax.device_put(first), 0)
    rows = {label: i for i, label in enumerate(program.labels())}
    for net, (arm, rate, init) in enumerate(program.nets):
        if rate != 0.01 or init != "rectifier":
            continue
        for run in range(program.n_runs):
            w, v, slope = (
                first[name][..., net, run].astype("float64") for name in ("hidden", "out", "slope")
            )
            c, errors, highest = 0.0, [], np.full(5, -np.inf)
            for task in range(4):
                slow, numbers, targets = program.draw_task(task)
                for number, y in zip(numbers[:, run], targets[:, run], strict=True):
                    fast = number >> np.arange(5) & 1
                    x = np.array([*slow[:, run], *fast, 1])
                    z = x @ w
                    h, slopes = f(z, arm, slope), df(z, arm, slope)
                    error = v @ h + c - y
                    errors.append(error**2)
                    highest = np.maximum(highest, z)
                    moved = 2 * rate * error
                    if arm.is_learned:
                        slope = slope - moved * v * np.minimum(z, 0)
                    w, v = w - np.outer(x, moved * v * slopes), v - moved * h
                    c -= moved
            np.testing.assert_allclose(state["hidden"][..., net, run], w, rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(state["out"][:, net, run], v, rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(state["slope"][:, net, run], slope, rtol=2e-3, atol=2e-3)
            row = rows[arm.name, rate, init, run + 1]
            assert np.ravel(record["error"])[row] == pytest.approx(np.mean(errors), rel=1e-3)
            assert np.ravel(record["inactive"])[row] == (highest <= 0).sum()


def test_target_is_the_net_of_the_paper():
    program = regression.Regression(2, 1, seed=5)
    target, x = program.target, np.random.default_rng(0).integers(2, size=(2, 7, 20))
    for run in range(2):
        weights, bias = target["hidden"][run], target["bias"][run]
        threshold = 0.7 * 21 - (20 - weights.sum(1) + bias) / 2
        is_on = x[run] @ weights.T + bias > threshold
        y = is_on @ target["out"][run] + target["out_bias"][run]
        np.testing.assert_array_equal(program.targets_of(x)[run], y)
    before, after = (program.draw_task(task)[0] for task in (6, 7))
    assert (np.abs(before - after).sum(0) == 1).all()


def make_images(n=400):
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=n).astype("int32")
    return rng.random((n, permuted.N_PIXELS), dtype="float32") * (1 + y[:, None]) / 10, y


def test_permuted_mnist_is_that_of_single_nets():
    """Its step is the step of each net alone, with the loss written plainly."""
    program = permuted.PermutedMnist(2, 1, 3, make_images(), images_a_task=160)
    state = program.start()
    permutations, numbers = program.draw_task(0)
    x, y = (np.asarray(part) for part in program.images)
    x = np.stack([x[n][:, p] for n, p in zip(numbers[0], permutations, strict=True)])
    y = y[numbers[0]]
    after, (losses, accuracies) = permuted.step(state, program.constants, x, y)

    def weights_of(state, net, run):
        part = slice(net * permuted.N_UNITS, (net + 1) * permuted.N_UNITS)
        later = [state[f"weights_{i}"][run, net] for i in range(1, 4)]
        biases = [state[f"bias_{i}"][run, net] for i in range(4)]
        slopes = [state[f"slope_{i}"][run, net] for i in range(3)]
        return [state["weights_0"][run][:, part], *later], biases, slopes

    def loss_of(parts, arm, x, y):
        weights, biases, slopes = parts
        h = x
        for w, b, a in zip(weights[:-1], biases[:-1], slopes, strict=True):
            h = rectify(h @ w + b, a, arm.is_elu)
        logits = h @ weights[-1] + biases[-1]
        return -jax.nn.log_softmax(logits)[np.arange(len(y)), y].mean(), logits

    for net in range(0, len(program.nets), 2):
        arm, rate = program.nets[net]
        for run in range(2):
            parts = weights_of(state, net, run)
            gradients, logits = jax.grad(loss_of, has_aux=True)(parts, arm, x[run], y[run])
            if not arm.is_learned:
                gradients = (*gradients[:2], [0 * g for g in gradients[2]])
            expected = jax.tree.map(lambda p, g, rate=rate: p - rate * g, parts, gradients)
            found = weights_of(after, net, run)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)
            assert accuracies[run, net] == pytest.approx(float(np.mean(logits.argmax(1) == y[run])))
            loss, _ = loss_of(parts, arm, x[run], y[run])
            assert losses[run, net] == pytest.approx(float(loss), rel=1e-5)


def test_units_are_counted():
    highest = np.array([[-1.0, 0.0, 1.0, -200.0]]).T * np.ones((1, 3))
    size = np.array([[0.0, 0.01, 1.0, 1.0]]).T * np.ones((1, 3))
    slope, is_elu = np.array([0.0, 0.1, 1.0]), np.array([False, False, True])
    counts = count_units(highest, size, slope, is_elu, axis=0)
    assert counts["inactive"].tolist() == [3, 3, 3]
    assert counts["dead"].tolist() == [3, 0, 1]
    assert counts["dormant"].tolist() == [2, 2, 2]


def test_a_run_that_stopped_goes_on_to_the_same_numbers(tmp_path):
    def make(n_bins, seed=1):
        return regression.Regression(2, n_bins, seed, examples_a_task=20)

    def never():
        return False

    assert run_folder.run(make(3), tmp_path / "whole", never, print)
    late = iter([False, True])
    assert not run_folder.run(make(3), tmp_path / "parts", lambda: next(late), print)
    assert run_folder.run(make(3), tmp_path / "parts", never, print)
    whole, parts = ((tmp_path / name / "regression.csv.gz") for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()
    with gzip.open(whole, "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 14 * 3 * 2 * 2
    assert {"quantity", "arm", "step_size", "init", "run", "bin_1", "bin_3"} <= rows[0].keys()
    with pytest.raises(InputError, match="same settings"):
        run_folder.run(make(3, seed=2), tmp_path / "parts", never, print)


def test_initial_weights_are_paired():
    program = regression.Regression(2, 1, seed=1)
    weights = program.start()["hidden"]
    nets = {(arm.name, init): weights[:, :, i] for i, (arm, _, init) in enumerate(program.nets)}
    np.testing.assert_array_equal(nets["relu", "he"], nets["relu", "rectifier"])
    np.testing.assert_array_equal(nets["relu", "he"], nets["elu", "he"])
    ratio = fixed(0.5).gain() / fixed(0).gain()
    expected = nets["relu", "he"] * ratio
    np.testing.assert_allclose(nets["leaky_relu_0.5", "rectifier"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--parts", "regresion"), "`--parts` must be among regression, permuted"),
        (("--examples", "50000"), "`--examples` must be a multiple of 40,000"),
        ((), "`--data-dir` must name a folder with mnist.npz"),
    ],
)
def test_what_is_refused(tmp_path, flags, message):
    command = [sys.executable, "-m", "recipes.plasticity", "--out", str(tmp_path), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
