"""Command lines with any numbers: options that keep the rules, or one sentence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.common.errors import InputError
from recipes.common.options import parse_options, settings
from recipes.common.search_options import Cifar10Options, MnistOptions

# Written as a person would, but for the minus sign, which looks like a flag.
numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.floats(1e-9, 2000).map(repr),
    st.integers(-(10**20), 10**20).map(str),
)
counts = st.one_of(st.integers(-3, 10**20).map(str), st.integers(0, 50).map(str))
flags = st.fixed_dictionaries(
    {},
    optional={
        "--activation": st.sampled_from(["relu", "leaky_relu", "prelu", "elu", "celu"]),
        "--tuner": st.sampled_from(["random", "bayesian", "hyperband", "grid"]),
        "--trials": counts,
        "--epochs": counts,
        "--seeds": counts,
        "--executions": counts,
        "--batch-size": counts,
        "--train-limit": counts,
        "--seed": counts,
        "--data": st.sampled_from(["auto", "synthetic"]),
        "--output": st.text(st.characters(exclude_characters="-", exclude_categories=["Cs"])),
        "--data-dir": st.sampled_from(["~nobody/x", "/tmp", ""]),
    },
)
ranges = st.one_of(st.none(), st.tuples(numbers, numbers))


@pytest.mark.parametrize("cls", [MnistOptions, Cifar10Options])
@given(given_flags=flags, alphas=ranges, rates=ranges)
def test_options_or_one_sentence(cls, given_flags, alphas, rates):
    arguments = [f"{flag}={value}" for flag, value in given_flags.items()]
    for flag, ends in (("--alpha-range", alphas), ("--learning-rate-range", rates)):
        if ends:
            arguments += [flag, *ends]
    try:
        options = parse_options(cls, arguments, "mnist")
    except InputError as error:
        options, said = None, str(error)
    except SystemExit as error:  # of the parser, over what is no number: it has said so
        options, said = None, error.code == 2
    if options is None:
        assert said
        return
    low, high = options.learning_rate_range
    assert 0 < low < high < math.inf
    if options.alpha_range is not None:
        assert 0 <= options.alpha_range[0] < options.alpha_range[1] <= 1000
    assert all(n >= 1 for n in (options.seeds, options.executions, options.batch_size))
    assert options.trials is None or options.trials >= 1
    assert 0 <= options.seed < 2**32
    assert settings(options)["learning_rate_range"] == [low, high]
