"""The pages of evidence: every table and interval is what the raw numbers give."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.gpu import long_claims
from recipes import atlas_map, comparison_claims, survival_claims
from recipes.plasticity import claims

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/evidence/plasticity.md").read_text()
CLAIM = re.compile(r"[+-]?\d[\d.]* \[[^\]]*\d\]")


@pytest.fixture(scope="module")
def tables():
    return claims.make_tables()


@pytest.fixture(scope="module")
def regression():
    return claims.Runs("regression")


def test_every_table_is_in_the_page(tables):
    assert not [name for name, table in tables.items() if table not in PAGE]


def test_every_claim_of_the_prose_is_in_a_table(tables):
    found = CLAIM.findall(PAGE)
    assert len(found) > 100
    computed = set(CLAIM.findall("\n".join(tables.values())))
    assert not [claim for claim in found if claim not in computed]


def test_a_changed_number_is_seen(tables):
    assert tables["R1"] not in PAGE.replace("1.68 [1.53, 1.82]", "1.69 [1.53, 1.82]")


def test_what_the_prose_says_without_a_number(regression):
    found = claims.claim_regression(regression) | claims.claim_permuted(claims.Runs("permuted"))
    holds = {name: [claim.holds for claim in of_it] for name, of_it in found.items()}
    assert all(all(holds[name]) for name in ("R1", "R2", "R6", "R7", "M1", "M3"))
    assert [c.what for c in found["R3"] if not c.holds] == ["slope 0.01"]
    assert [c.what for c in found["M2"] if not c.holds] == ["slope 0.01"]
    assert not any(holds["R4"])
    assert any(holds["R5"])
    assert not all(holds["R5"])
    assert all(claim.low <= 1 <= claim.high for claim in found["R5"])
    for arm in regression.arms:
        for size in regression.step_sizes:
            for init in ("he", "rectifier"):
                n = 4 if (arm, size, init) == ("prelu", 0.01, "rectifier") else 0
                assert regression.n_diverged(arm, size, init) == n


def test_the_figures_of_the_first_screen_by_hand(regression):
    """From the rows of the file, without the functions of the page."""
    import csv
    import gzip

    late, chosen = {}, {}
    path = ROOT / "docs/evidence/data/plasticity_regression.csv.gz"
    with gzip.open(path, "rt") as file:
        for row in csv.reader(file):
            if row[0] == "error" and row[3] == "rectifier" and row[1] in ("relu", "leaky_relu_0.3"):
                late.setdefault((row[1], row[2]), []).append(np.mean([*map(float, row[-8:])]))
    for arm in ("relu", "leaky_relu_0.3"):
        sizes = [key for key in late if key[0] == arm]
        chosen[arm] = min(sizes, key=lambda key: np.mean(late[key][:50]))
    assert chosen == {"relu": ("relu", "0.001"), "leaky_relu_0.3": ("leaky_relu_0.3", "0.01")}
    ours, relu = (np.log(late[chosen[arm]][50:]) for arm in ("leaky_relu_0.3", "relu"))
    assert f"{np.exp((ours - relu).mean()):.2f}" == "0.71"
    assert stats.wilcoxon(ours, relu).pvalue * 13 < 0.001


def test_the_tables_of_cifar10_are_in_their_pages():
    results = (ROOT / "benchmarks/RESULTS.md").read_text()
    table = long_claims.tabulate_long()
    page = (ROOT / "docs/evidence/cifar10_gpu.md").read_text()
    assert table in page
    assert table in results
    assert long_claims.tabulate_gap() in results
    differences = re.findall(r"([+-][\d.]+) \[", table)
    for points, text in zip(
        differences[1:], ("cost 0.14", "cost 0.55", "", "ELU 0.62"), strict=True
    ):
        assert text in page
        assert not text or text.endswith(points.strip("+-"))


def test_the_first_picture_is_drawn_from_the_tables(tmp_path):
    import importlib.util

    path = ROOT / "docs/draw_where_a_leak_helps.py"
    spec: Any = importlib.util.spec_from_file_location("draw_where_a_leak_helps", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.read()
    assert len(found) == 6
    assert all(list(slopes) == ["0.01", "0.1", "0.3"] for slopes in found.values())
    assert found["MNIST, MLP, 8 layers, batch norm"]["0.1"] == (0.04, -0.02, 0.09)
    assert found["CIFAR-10, 24 epochs, batch norm"]["0.3"] == (-0.55, -0.66, -0.45)
    assert found["CIFAR-10, 3 epochs"]["0.3"] == (2.07, 1.62, 2.55)
    module.draw(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_tables_of_survival_are_in_the_page():
    page = (ROOT / "docs/evidence/survival.md").read_text()
    units = survival_claims.read_units()
    tables = survival_claims.make_tables(units)
    assert not [name for name, table in tables.items() if table not in page]
    normalized = units[units["net"] == "batch_norm"]
    assert len(normalized) == 18_000
    assert not normalized["states"].str.contains("0").any()
    dead = survival_claims.first_deaths(units)
    back_soon = dead["is_back"] & dead["epochs"].eq(1)
    assert f"{back_soon.mean():.0%}" == "29%"
    assert [f"{area:.2f}" for area in survival_claims.areas(dead)[:2]] == ["0.69", "0.67"]
    assert units["val_accuracy"].min() > 0.87


@pytest.fixture(scope="module")
def atlas():
    options = atlas_map.Options()
    return atlas_map.read(options, "first"), atlas_map.read(options, "second")


def test_the_tables_of_the_atlas_are_in_its_page(atlas):
    page = (ROOT / "docs/evidence/atlas.md").read_text()
    assert not [name for name, table in atlas_map.make_tables(*atlas).items() if table not in page]
    assert f"{sum(map(len, atlas)):,} trainings" in page


def test_what_the_page_of_the_atlas_says_beside_its_tables(atlas):
    first, second = atlas
    found = atlas_map.find_best_rates(second)
    assert (sum(one.is_sharp for one in found), len(found)) == (83, 104)
    missing = [name for name, holds in atlas_map.decide(found)["A6"].items() if not holds]
    assert missing == [
        "2 layers, Adam, He's gain, 0.01",
        "8 layers, SGD, He's gain, 0.03",
        "8 layers, SGD, own gain, 0.03",
        "8 layers, Adam, He's gain, 0.03",
    ]
    spans = {
        (one.net, one.optimizer): one.good[1] / one.good[0]
        for one in found
        if one.slope == 0 and one.init == "he"
    }
    expected = {("mlp2", "sgd"): 2.0, ("mlp8", "sgd"): 1.0}
    expected |= {("mlp2", "adam"): 3.8, ("mlp8", "adam"): 3.8}
    assert spans == {key: pytest.approx(value, abs=0.05) for key, value in expected.items()}
    limits = atlas_map.breakdown(first)
    of_slope = [limits["mlp8", "sgd", "he", slope] for slope in (0.0, 0.1, 0.3)]
    assert of_slope == pytest.approx([0.35, 0.15, 0.066], rel=0.02)
    deep = first[first["net"].eq("mlp30") & first["slope"].ne("prelu")].fillna({"val_accuracy": 0})
    keys = ["optimizer", "init", "slope"]
    means = deep.groupby([*keys, "learning_rate"])["val_accuracy"].mean().groupby(keys).max()
    best = means.groupby(keys[:2]).idxmax()
    assert min(slope for *_, slope in best) >= 0.5


def test_a_best_rate_by_hand(atlas):
    """From the rows of the file, without the functions of the page."""
    second = atlas[1]
    is_own = (second[["net", "optimizer", "init"]] == ["mlp8", "sgd", "he"]).all(axis=1)
    best = {}
    for slope in (0.0, 0.1):
        rows = second[is_own & second["slope"].eq(slope)]
        losses = rows.groupby("learning_rate")["val_loss"].mean()
        a, b, _ = np.polyfit(np.log(losses.index), np.log(losses), 2)
        best[slope] = np.exp(-b / (2 * a))
    assert best[0.0] == pytest.approx(0.028, abs=0.0005)
    assert best[0.1] / best[0.0] == pytest.approx(1.5, abs=0.05)


def test_the_tables_of_the_comparison_are_in_their_pages():
    page = (ROOT / "docs/evidence/comparison.md").read_text()
    table = comparison_claims.read("mnist")
    found = comparison_claims.find_differences(table)
    tables = comparison_claims.make_tables(table, found)
    assert not [name for name, text in tables.items() if text not in page]
    assert tables["differences"] in (ROOT / "docs/does_leaky_relu_help.md").read_text()
    assert table.groupby(["net", "arm"]).size().eq(30).all()
    assert len(found) == 44
    halves = [(one.high - one.low) / 2 for one in found]
    assert (round(min(halves), 2), round(max(halves), 2)) == (0.04, 0.07)
    assert max(one.mean for one in found) < 0.25
    leaks = ("leaky_relu", "leaky_relu=0.01", "leaky_relu=0.1", "leaky_relu=0.3")
    assert max(one.mean for one in found if one.arm in leaks) < 0.1
    slopes = table[table["arm"].eq("leaky_relu")].groupby("net")["alpha"].first()
    assert (round(slopes.min(), 4), round(slopes.max(), 3)) == (0.0018, 0.044)
    of_arm = {net: comparison_claims.accuracies(table, net) for net in comparison_claims.NETS
              if net != "cnn1"}  # fmt: skip
    assert all(of_arm["mlp8"][arm].mean() < of_arm["mlp2"][arm].mean() for arm in of_arm["mlp2"])
    means = [of_arm[net]["elu=1"].mean() for net in ("mlp8", "mlp8_bn")]
    assert means == pytest.approx([97.12, 97.44], abs=0.005)


def test_the_tables_of_cifar10_with_20_seeds_are_in_their_page():
    page = (ROOT / "docs/evidence/comparison.md").read_text()
    table = comparison_claims.read("cifar10")
    tables = comparison_claims.make_tables(table, comparison_claims.find_differences(table))
    assert not [name for name, text in tables.items() if text not in page]
    assert table.groupby(["net", "arm"]).size().eq(20).all()
    of_arm = comparison_claims.accuracies(table, "cnn1")
    relu = of_arm["relu"]
    for arm, worst, median in (("leaky_relu=0.3", 43.8, 2.66), ("rrelu", 36.1, 2.86)):
        gains = of_arm[arm] - relu
        assert of_arm[arm].min() == pytest.approx(worst, abs=0.05)
        assert np.median(gains) == pytest.approx(median, abs=0.005)
        assert (gains > 0).sum() == 19
        assert np.sort(of_arm[arm])[1] > 68  # only one broke down
    assert (of_arm["leaky_relu=-0.5"] < relu).all()
    difference = comparison_claims.compare(of_arm["leaky_relu=0.3"], of_arm["leaky_relu=0.1"])
    assert difference[:3] == pytest.approx((-0.66, -3.35, 2.03), abs=0.005)


def test_the_tables_of_the_atlas_of_cifar10_are_in_its_page():
    page = (ROOT / "docs/evidence/atlas.md").read_text()
    options = atlas_map.Options(dataset="cifar10")
    first, second = atlas_map.read(options, "first"), atlas_map.read(options, "second")
    tables = atlas_map.make_tables(first, second)
    del tables["first"]  # accuracies below 50 % count as "does not learn": of no use here
    assert not [name for name, text in tables.items() if text not in page]
    assert f"{len(first) + len(second):,} trainings" in page
    found = atlas_map.find_best_rates(second)
    counts = (sum(one.is_sharp for one in found), len(found), sum(one.at_edge for one in found))
    assert counts == (28, 52, 19)
    missing = [name for name, holds in atlas_map.decide(found)["A6"].items() if not holds]
    assert missing == ["2 layers, SGD, He's gain, 0.03"]
