"""What is said of a comparison, from made-up accuracies."""

import numpy as np
import pandas as pd
import pytest

from keras_leaky.study import InputError
from recipes import comparison_claims as claims


def table(gains, n=30):
    """Accuracies of pairs: those of ReLU, plus a gain in points, plus a little noise."""
    rng, rows = np.random.default_rng(0), []
    for net, of_arm in gains.items():
        relu = rng.normal(0.95, 0.002, n)
        for arm, gain in {"relu": 0.0, **of_arm}.items():
            noise = rng.normal(0, 0.0005, n) if arm != "relu" else 0.0
            rows += [
                {
                    "net": net, "arm": arm, "alpha": 0.1, "learning_rate": 0.01, "seed": seed,
                    "test_accuracy": value, "inactive_fraction": 0.05,
                }
                for seed, value in enumerate(relu + gain / 100 + noise)
            ]  # fmt: skip
    return pd.DataFrame(rows)


NETS = ("mlp2", "mlp2_bn", "mlp8", "mlp8_bn")
EXPECTED = {
    "leaky_relu=-1": (0.5, 0, 0, 0), "leaky_relu=0.01": (0, 0, 0, 0),
    "leaky_relu=0.1": (0, 0, 0, 0.3), "leaky_relu=0.3": (-0.5, -0.5, 0, 0),
    "leaky_relu": (0, 0, 0, 0), "elu=1": (0, 0, 0.5, 0), "celu=0.5": (0, 0, 0.5, 0),
    "selu": (-0.5, -0.5, -0.5, -0.5),
}  # fmt: skip


def mnist(**changed):
    arms = EXPECTED | {name.replace("__", "="): gains for name, gains in changed.items()}
    return table({net: {arm: g[i] for arm, g in arms.items()} for i, net in enumerate(NETS)})


def test_all_hypotheses_hold_where_the_gains_are_as_expected():
    decided = claims.decide_mnist(claims.find_differences(mnist()))
    assert list(decided) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert all(decided.values())


@pytest.mark.parametrize(
    ("name", "arm", "gains"),
    [
        ("C1", "leaky_relu=0.3", (-0.5, 0, 0, 0)),
        ("C2", "leaky_relu=0.01", (0, 0, 0.2, 0)),
        ("C3", "elu=1", (0, 0, 0, 0)),
        ("C4", "leaky_relu=0.1", (0, 0, 0, -0.3)),
        ("C5", "leaky_relu=-1", (-0.5, 0, 0, 0)),
        ("C6", "leaky_relu", (0, 0, 0, 0.3)),
        ("C7", "selu", (-0.5, -0.5, -0.5, 0.5)),
    ],
)
def test_each_hypothesis_can_fail(name, arm, gains):
    changed = mnist(**{arm.replace("=", "__"): gains})
    decided = claims.decide_mnist(claims.find_differences(changed))
    assert [key for key, holds in decided.items() if not holds] == [name]


def test_hypotheses_on_cifar10():
    gains = {
        "leaky_relu=-0.5": 1, "leaky_relu=0.01": 0, "leaky_relu=0.1": 1.5, "leaky_relu=0.3": 2,
        "prelu=0.25": 2, "elu=1": 2, "rrelu": 2,
    }  # fmt: skip
    rows = table({"cnn1": gains})
    assert all(claims.decide_cifar10(rows, claims.find_differences(rows)).values())
    others = {"leaky_relu=-0.5": 0, "leaky_relu=0.01": 1, "leaky_relu=0.3": 1.5, "elu=1": 0.9}
    rows = table({"cnn1": gains | others})
    assert not any(claims.decide_cifar10(rows, claims.find_differences(rows)).values())


def test_differences_are_paired_and_corrected_together():
    found = {(one.net, one.arm): one for one in claims.find_differences(mnist())}
    assert len(found) == 4 * len(EXPECTED)
    one = found["mlp2", "leaky_relu=-1"]
    assert one.mean == pytest.approx(0.5, abs=0.05)
    assert one.high - one.low < 0.06  # far less than the spread over seeds, 0.2
    assert one.n == 30
    assert sum(one.p < 0.05 for one in found.values()) == 1 + 1 + 2 + 2 + 4


def test_a_seed_without_a_score_leaves_the_pairs():
    missing = mnist()
    missing.loc[3, "test_accuracy"] = np.nan  # one of ReLU in the first net
    found = claims.find_differences(missing)
    assert {one.n for one in found if one.net == "mlp2"} == {29}
    assert {one.n for one in found if one.net != "mlp2"} == {30}


def test_the_table_names_all_arms_and_marks_what_is_shown():
    text = claims.tabulate(mnist(), claims.find_differences(mnist()))
    assert "| | 2 layers | 2 layers, batch norm | 8 layers | 8 layers, batch norm |" in text
    assert text.count("**") == 2 * 10
    assert "| Leaky ReLU, slope searched |" in text


def test_the_picture_is_drawn(tmp_path):
    claims.draw(mnist(), claims.find_differences(mnist()), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="must be the folder of a run"):
        claims.collect(tmp_path)
