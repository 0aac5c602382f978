"""Command lines with any numbers: flags that keep the rules, or one sentence."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_leaky.study.errors import InputError
from keras_leaky.study.flags import parse_flags
from recipes.cifar10 import Cifar10Flags
from recipes.mnist import MnistFlags

# Written as a person would, but for the minus sign, which looks like a flag.
numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.floats(1e-9, 2000).map(repr),
    st.integers(-(10**20), 10**20).map(str),
)
counts = st.one_of(st.integers(-3, 10**20).map(str), st.integers(0, 50).map(str))
any_flags = st.fixed_dictionaries(
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
        "--workers": st.one_of(counts, st.just("auto")),
        "--data": st.sampled_from(["auto", "synthetic"]),
        "--output": st.text(st.characters(exclude_characters="-", exclude_categories=["Cs"])),
        "--data-dir": st.sampled_from(["~nobody/x", "/tmp", ""]),
    },
)
ranges = st.one_of(st.none(), st.tuples(numbers, numbers))


@pytest.mark.parametrize("cls", [MnistFlags, Cifar10Flags])
@given(given_flags=any_flags, alphas=ranges, rates=ranges)
def test_flags_or_one_sentence(cls, given_flags, alphas, rates):
    arguments = [f"{flag}={value}" for flag, value in given_flags.items()]
    for flag, ends in (("--alpha-range", alphas), ("--learning-rate-range", rates)):
        if ends:
            arguments += [flag, *ends]
    try:
        flags = parse_flags(cls, arguments)
    except InputError as error:
        flags, said = None, str(error)
    except SystemExit as error:  # of the parser, over what is no number: it has said so
        flags, said = None, error.code == 2
    if flags is None:
        assert said
        return
    low, high = flags.learning_rate_range
    assert 0 < low < high < math.inf
    assert flags.alpha_range is None or flags.alpha_range[0] < flags.alpha_range[1] < math.inf
    assert all(n >= 1 for n in (flags.seeds, flags.executions, flags.batch_size, flags.finalists))
    assert flags.trials is None or flags.trials >= 1
    assert 0 <= flags.seed < 2**32
    assert json.loads(json.dumps(flags.options()))["learning_rate_range"] == [low, high]
