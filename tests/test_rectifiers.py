"""What holds of every rectifier in the table, and of one that is registered at run time."""

import dataclasses
import json
import math
import re
from functools import partial
from typing import ClassVar, get_args, get_type_hints

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import trapezoid

import keras_leaky
from keras_leaky import rectifiers
from keras_leaky.diagnostics import dead_units
from keras_leaky.initializers import RectifierNormal, gain
from keras_leaky.layers.slope import NEW_LAYER, FixedRectifier, variable_slopes
from keras_leaky.rectifiers import TABLE, Entry, entry_of, find_entry, register, unregister
from keras_leaky.tuning import RandomSearch, Trainer
from keras_leaky.tuning._engine.structure import structure_of
from recipes.compare import CompareFlags
from recipes.flags import SearchFlags
from tests.layers.contract import CONTRACT, TOLERANCE, as_float64, make_input, negative_side

# A rectifier of somebody else: x where x > 0, alpha * tanh(x) elsewhere.


@keras.saving.register_keras_serializable(package="toys")
def bent(x, alpha=1.0, training=None):
    negative = keras.ops.where(x > 0, 0.0, x)
    return keras.ops.where(x > 0, x, keras.ops.cast(alpha, x.dtype) * keras.ops.tanh(negative))


@keras.saving.register_keras_serializable(package="toys")
class Bent(FixedRectifier):
    _fixed_arguments: ClassVar[dict[str, str]] = {"alpha": NEW_LAYER}

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = float(alpha)
        self._slope = self.keep_slope("alpha", self.alpha)

    def call(self, inputs, training=None):
        return bent(self.cast_inputs(inputs), self._slope, training)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


def sides_of_bent(alpha, backward):
    z = -np.linspace(0, 12, 200_001)
    f = np.cosh(z) ** -2.0 if backward else np.tanh(z)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(0.5), alpha * math.sqrt(trapezoid(f * f * density, -z))


TOY = Entry(
    name="bent",
    title="Bent",
    layer=Bent,
    function=bent,
    parameters=("alpha",),
    arguments=("alpha",),
    alpha_title="saturation value",
    default=1.0,
    is_valid=lambda alpha: 0 < alpha < math.inf,
    invariant="a finite real number above 0",
    sides=sides_of_bent,
    to_keras=lambda config, input_shape: None,
    can_die=True,
    color="#000000",
    alpha_range=(0.2, 2.0),
)


def reference_of_bent(x, layer):
    t, a = np.tanh(np.minimum(x, 0)), layer.alpha
    return negative_side(x, a * t, a * (1 - t * t), -2 * a * t * (1 - t * t))


ROWS = [*CONTRACT, (Bent, {"alpha": 0.5}, (5, 3), reference_of_bent)]


@pytest.fixture
def toy():
    register(TOY)
    yield TOY
    unregister("bent")


@pytest.fixture(params=[*TABLE, "bent"])
def entry(request):
    """Every entry of the table, then one that is there for the time of a test."""
    if request.param == "bent":
        request.getfixturevalue("toy")
    return entry_of(request.param)


def two_alphas(entry):
    """Two that a search may try, or what stands for the one there is."""
    if len(entry.parameters) == 2:
        return (0.1, 0.3), (0.25, 0.5)
    return entry.alpha_range or (None, None)


def build_net(entry, alpha, n_outputs=2):
    """A layer and an argument `activation` with the rectifier, compiled."""
    weights = {"kernel_initializer": RectifierNormal(entry.name, alpha, seed=1)}
    net = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, name="first", **weights),
            entry.make(alpha, name="rectifier"),
            keras.layers.Dense(8, name="second", activation=entry.make(alpha), **weights),
            keras.layers.Dense(n_outputs, name="last"),
        ]
    )
    net(np.zeros((1, 6)))  # builds the activation of the second
    net.compile(keras.optimizers.SGD(0.05), "mse")
    return net


def make_data(n_outputs=2):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, (48, 6)).astype("float32")
    return x, rng.normal(size=(48, n_outputs)).astype("float32")


# The entries and those who ask them


def test_the_table_holds_every_layer_and_relu():
    ours = [entry.layer.__name__ for entry in TABLE.values() if not entry.is_of_keras]
    missing = set(keras_leaky.layers.__all__) - set(ours)
    assert not missing, f"give each of {sorted(missing)} an `Entry` in keras_leaky/rectifiers.py"
    assert sorted(ours) == sorted(keras_leaky.layers.__all__)
    assert [entry.name for entry in TABLE.values() if entry.is_of_keras] == ["relu"]


def test_the_flags_of_the_recipes_name_what_the_table_has():
    """They are written out, because `--help` does not wait for Keras."""
    searched = {e.name: e.alpha_range for e in TABLE.values() if e.alpha_range is not None}
    [base] = [cls for cls in SearchFlags.__mro__ if cls.__name__ == "_Searched"]
    where = "recipes/flags.py, class _Searched"
    choices, wanted = get_args(get_type_hints(base)["activation"]), ("relu", *searched)
    assert choices == wanted, f"{where}: `activation` must name {wanted}, in this order"
    help_text = " ".join(base.__doc__.split())
    for name, (low, high) in searched.items():
        words = f"{name}: ... {low:g} {high:g}"
        assert re.search(rf"\b{name}: [^.]*{low:g} {high:g}", help_text), (
            f"{where}: the help of `alpha_range` must hold '{words}'"
        )
    compared = {arm.partition("=")[0] for arm in CompareFlags.activations}
    missing = set(TABLE) - {"relu", *compared}
    assert not missing, f"recipes/compare.py: add {sorted(missing)} to `activations` of _Compared"
    assert compared <= set(TABLE)


def test_an_entry_agrees_with_its_layer(entry):
    layer, default = entry.layer(), entry.make()
    assert find_entry(layer) is find_entry(type(layer).from_config(layer.get_config())) is entry
    assert find_entry(keras.saving.serialize_keras_object(layer)) is entry
    for name in entry.parameters:
        assert layer.get_config()[name] == default.get_config()[name]
    for alpha in two_alphas(entry):
        value = entry.resolve_alpha(alpha)
        assert entry.resolve_alpha(value) == value
        config = entry.make(alpha, name="its").get_config()
        assert config["name"] == "its"
        for name, number in entry.config_of(alpha).items():
            kept = (
                config[name]["config"]["value"] if isinstance(config[name], dict) else config[name]
            )
            assert kept == number
    x = make_input((4,))
    if not entry.is_random:
        default.build(x.shape)
        arguments = entry.read_arguments(default)
        np.testing.assert_array_equal(entry.function(x, *arguments), default(x))
    assert ("seed" in layer.get_config()) == entry.is_random


@pytest.mark.parametrize(
    ("alpha", "message"), [(0.3, "must be None"), ((0.1, 0.2), "must be None")]
)
def test_an_alpha_where_there_is_none_is_refused(alpha, message):
    with pytest.raises(ValueError, match=f"`alpha` of selu {message}. Received: alpha="):
        entry_of("selu").make(alpha)


def test_what_is_in_the_table_is_not_replaced(toy):
    for change in ({"name": "other"}, {"layer": keras.layers.ReLU}, {"name": "elu"}):
        if change == {"layer": keras.layers.ReLU}:
            change = {"name": "other", **change}
        with pytest.raises(ValueError, match="`entry` must have a name and a layer that are not"):
            register(dataclasses.replace(toy, **change))
    with pytest.raises(ValueError, match="`name` must be the name of a registered rectifier"):
        unregister("elu")
    with pytest.raises(ValueError, match=r"`activation` must be one of relu, .*, bent\. Received"):
        unregister("other")


# The gates


def test_gate_contract(entry):
    rows = [row for row in ROWS if row[0] is entry.layer]
    assert rows or entry.is_of_keras, "add a row to CONTRACT of tests/layers/contract.py"
    for cls, kwargs, shape, reference in rows:
        layer, x = cls(**kwargs), make_input(shape)
        config = json.loads(json.dumps(layer.get_config()))
        assert cls.from_config(config).get_config() == config
        layer.build(x.shape)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        for result, expected in zip(
            (y, tape.gradient(y, x)), reference(as_float64(x), layer), strict=False
        ):
            bound = TOLERANCE["float32"] * np.maximum(1, np.abs(expected))
            assert np.all(np.abs(as_float64(result) - expected) <= bound)


def derivative_of(layer, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    return as_float64(tape.gradient(y, x))


def shape_problem(layer, can_die):
    """What a rectifier of the table promises to `dead_units`, or None if it holds."""
    x = np.geomspace(1e-3, 1e6, 200)[:, None]
    if not np.all(derivative_of(layer, x) > 0):
        return "its derivative must be above 0 wherever x > 0"
    slopes = derivative_of(layer, -x)
    if not can_die and np.any(slopes != slopes[0]):
        return "`can_die` may be False only if the negative side is straight"
    return None


def test_gate_shape(entry):
    for alpha in (None, *two_alphas(entry)):
        problem = shape_problem(entry.make(alpha, dtype="float64"), entry.can_die)
        assert problem is None, f"{entry.name} does not fit the table: {problem}"


@pytest.mark.parametrize(
    ("function", "can_die", "problem"),
    [
        (lambda x: tf.clip_by_value(x, 0.1 * x, 6.0), False, "wherever x > 0"),
        (lambda x: tf.where(x > 0, x, tf.tanh(x)), False, "negative side is straight"),
        (lambda x: tf.where(x > 0, x, tf.tanh(x)), True, None),
    ],
)
def test_a_shape_that_does_not_fit_is_seen(function, can_die, problem):
    found = shape_problem(function, can_die)
    assert problem in found if problem else found is None


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_gate_gain(entry, direction):
    """1 / sqrt(E[f^2]) or 1 / sqrt(E[f'^2]), by quadrature over what the layer computes."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    few_nodes, few_weights = np.polynomial.legendre.leggauss(3)
    edges = np.array([-12, -3, -1, -0.3, -0.1, 0, 12])
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (nodes + 1)).ravel()
    weight = (half * weights).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    for alpha in (None, *two_alphas(entry)):
        made = [entry.make(alpha, dtype="float64")]
        if entry.is_random:  # slopes, each in its turn
            lower, upper = entry.resolve_alpha(alpha)
            slopes = lower + (upper - lower) * (few_nodes + 1) / 2
            made = [entry.make((a, a), dtype="float64") for a in slopes]
        moments = []
        for layer in made:
            x = tf.constant(z)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x[:, None])
            result = y[:, 0] if direction == "forward" else tape.gradient(y, x)
            moments.append(np.sum(weight * as_float64(result) ** 2))
        shares = few_weights / 2 if entry.is_random else [1.0]
        expected = 1 / math.sqrt(np.dot(shares, moments))
        assert gain(entry.name, alpha, direction) == pytest.approx(expected, rel=1e-8)


def test_gate_reuse(entry):
    """Another alpha in a used program gives what a fresh program gives, to the last bit."""
    x, y = make_data()

    def train(trainer, alpha):
        model = trainer.build(partial(build_net, entry, alpha), seed=7)
        arguments = {"epochs": 2, "batch_size": 16, "verbose": 0, "seed": 3}
        structure = structure_of(model)
        trained, history = trainer.train(model, x, y, **arguments)
        return history.history, [as_float64(v) for v in trained.variables], structure

    first, second = two_alphas(entry)
    trainer = Trainer()
    _, before, structure = train(trainer, first)
    history, variables, other = train(trainer, second)
    assert structure == other is not None
    assert len(trainer._programs._programs) == 1
    expected_history, expected, _ = train(Trainer(), second)
    assert history == expected_history
    for value, wanted in zip(variables, expected, strict=True):
        np.testing.assert_array_equal(value, wanted)
    if entry.parameters:
        assert any(np.any(a != b) for a, b in zip(variables, before, strict=True))


def test_gate_surgery(entry):
    x, _ = make_data()
    old = "leaky_relu" if entry.name == "relu" else "relu"
    net = build_net(entry_of(old), None)
    for alpha in two_alphas(entry):
        layer = entry.make(alpha)
        new = keras_leaky.replace_activations(net, {old: layer}, initializers="match")
        assert find_entry(new.get_layer("rectifier")) is entry
        assert find_entry(new.get_layer("second").activation) is entry
        y = layer(net.get_layer("first")(x))
        np.testing.assert_array_equal(new.layers[1](new.layers[0](x)), y)
        got, had = (n.get_layer("first").kernel_initializer.scale for n in (new, net))
        ratio = gain(entry.name, alpha) / gain(old)
        assert got == pytest.approx(had * ratio**2, rel=1e-8)  # PReLU's alpha is float32
        back = keras_leaky.replace_activations(
            new, {entry.name: entry_of(old).make()}, initializers="match"
        )
        np.testing.assert_array_equal(back(x), net(x))
        assert back.get_layer("first").kernel_initializer.scale == pytest.approx(had, rel=1e-8)
        rectifier = new.get_layer("rectifier")
        if entry.to_keras(rectifier.get_config(), (None, 8)) is None:
            with pytest.raises(
                ValueError, match="`model` must hold only objects with a counterpart in Keras"
            ):
                keras_leaky.to_keras(new)
            continue
        twin = keras_leaky.to_keras(new)
        for thing in (twin.get_layer("rectifier"), twin.get_layer("second").activation):
            assert (getattr(thing, "__module__", None) or "").startswith("keras.")
        np.testing.assert_allclose(twin(x), new(x), rtol=1e-5, atol=1e-5)


def test_gate_file(entry, tmp_path):
    x, _ = make_data()
    for alpha in two_alphas(entry):
        with variable_slopes():
            net = build_net(entry, alpha)
        net.save(tmp_path / "net.keras")
        for load in (keras.saving.load_model, keras_leaky.load_model):
            loaded = load(tmp_path / "net.keras")
            assert type(loaded.get_layer("rectifier")) is entry.layer
            config = loaded.get_layer("rectifier").get_config()
            assert config == net.get_layer("rectifier").get_config()
            np.testing.assert_allclose(loaded(x), net(x), rtol=1e-6, atol=1e-6)


def test_gate_dead_units(entry):
    dense = keras.layers.Dense(3, activation=entry.make(), kernel_initializer="zeros")
    net = keras.Sequential([keras.Input((6,)), dense])
    net(np.zeros((1, 6)))
    dense.bias.assign([-1000.0, 1.0, -0.5])
    (units,) = dead_units(net, make_data()[0])
    assert units.kind == entry.name
    assert units.is_dead.tolist() == [entry.can_die, False, entry.name == "relu"]


def test_gate_saved_model(entry, tmp_path):
    x, _ = make_data()
    net = build_net(entry, None)
    net.export(tmp_path / "net", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    np.testing.assert_allclose(loaded.serve(x), net(x), rtol=1e-5, atol=1e-5)


# A rectifier that is registered at run time


def test_a_search_over_a_registered_rectifier(toy, tmp_path):
    def build(hp):
        return build_net(toy, hp.Float("alpha", *toy.alpha_range, sampling=toy.alpha_scale))

    tuner = RandomSearch(build, "val_loss", max_trials=3, seed=1, directory=tmp_path)
    x, y = make_data()
    tuner.search(x, y, epochs=2, batch_size=16, validation_split=0.25, verbose=0)
    trials = tuner.oracle.get_best_trials(3)
    assert len({trial.hyperparameters["alpha"] for trial in trials}) == 3
    assert len({trial.score for trial in trials}) == 3
    assert len(tuner._trainer._programs._programs) == 1
    (best,) = tuner.get_best_models()
    layer = best.get_layer("rectifier")
    assert layer.alpha == trials[0].hyperparameters["alpha"]
    score = best.evaluate(x[36:], y[36:], batch_size=16, verbose=0)
    assert score == pytest.approx(trials[0].score, rel=1e-5)


class Careless(Bent):
    """Computes with the number of the config, which a used program would not see change."""

    def call(self, inputs, training=None):
        return bent(inputs, self.alpha)


def test_a_number_that_a_registered_layer_computes_with_is_a_structure(toy):
    careless = dataclasses.replace(toy, name="careless", layer=Careless)
    register(careless)
    try:
        first, second, again = (
            structure_of(Trainer().build(partial(build_net, careless, alpha), 1))
            for alpha in (0.2, 0.4, 0.2)
        )
    finally:
        unregister("careless")
    assert first == again != second


def test_the_function_of_a_registered_rectifier_is_known_as_well(toy):
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, bent)])
    net.layers[0].bias.assign([-1000.0, 1.0, -0.5])
    (units,) = dead_units(net, make_data()[0])
    assert (units.kind, units.is_dead.tolist()) == ("bent", [True, False, False])
    new = keras_leaky.replace_activations(net, {"bent": "relu"}, initializers="keep")
    assert new.layers[0].activation is keras.activations.relu
    with pytest.raises(ValueError, match=r"counterpart in Keras\. Received: toys>bent of layer"):
        keras_leaky.to_keras(net)
    with_twin = dataclasses.replace(toy, keras_function="tanh")
    unregister("bent")
    register(with_twin)
    assert keras_leaky.to_keras(net).layers[0].activation is keras.activations.tanh


def test_nothing_knows_a_rectifier_that_was_taken_away():
    layer = Bent(0.5)
    for _ in range(2):
        assert find_entry(layer) is rectifiers.activation_name(layer) is None
        with pytest.raises(ValueError, match=re.escape("Received: activation='bent'")):
            gain("bent")
        register(TOY)
        assert find_entry(layer) is TOY
        unregister("bent")
