"""The page of a study: what it shows, that it is one file, and that nothing can break it."""

import dataclasses
import errno
import io
import math
import os
import random
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
import rich.console

from keras_leaky.rectifiers import TABLE
from keras_leaky.storage import WriteError
from keras_leaky.study.errors import InputError
from keras_leaky.study.outcome import Metric, Range
from keras_leaky.study.report import result_table, write_joint_report, write_report
from keras_leaky.study.report.page import flatten
from keras_leaky.study.report.style import DARK, LIGHT, color_classes
from keras_leaky.study.report.svg import linear_scale, log_scale, shorten, text_width
from keras_leaky.study.report.table import arm_cells, format_p_value
from keras_leaky.study.report.view import View, format_score, score_scale
from keras_leaky.study.verdict import recommend
from tests.study.made_up_outcomes import ACCURACY, LEAKY, MAE, RELU, MadeUpArm, make_outcome

BETTER = MadeUpArm("leaky_relu", effect=0.025)
ATTACK = MadeUpArm("<script>alert(1)</script>", None, "<script>alert(1)</script>", alpha=None)
LONG = MadeUpArm("gelü/../x", None, "ガウス誤差線形ユニット " * 8, alpha=None)
FAILED = MadeUpArm("elu", "elu", fails=True)
SVG = "{http://www.w3.org/2000/svg}"

CASES = {
    "two arms": {},
    "an arm helps": {"arms": (RELU, BETTER), "n_test_looks": 3, "warning": "Not the <real> data."},
    "an error": {"metric": MAE},
    "no test data": {"has_test": False},
    "two seeds": {"n_seeds": 2},
    "one seed": {"n_seeds": 1, "is_finished": False},
    "one arm": {"arms": (RELU,)},
    "one epoch": {"n_epochs": 1},
    "odd names": {"arms": (RELU, ATTACK, LONG)},
    "diverged": {"arms": (RELU, FAILED, MadeUpArm("selu", "selu", alpha=None, n_diverged=2))},
    "nothing": {"arms": (MadeUpArm("relu", "relu", alpha=None, fails=True), FAILED)},
    "fixed alpha": {"arms": (RELU, MadeUpArm("leaky_relu=0.1", alpha=0.1))},
    "no rectifier layers": {"layers": ()},
    "one trial": {"arms": (MadeUpArm("relu", "relu", alpha=None, n_trials=1),)},
}


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text()
        self.tags, self.open, self.text = [], [], {}
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def find(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def alts(self):
        return [attributes["aria-label"] for attributes in self.find("svg")]


def write(tmp_path, **kwargs):
    outcome = make_outcome(tmp_path / "run", **kwargs)
    return outcome, Page(write_report(outcome))


@pytest.mark.parametrize("case", CASES)
def test_every_page_is_one_sound_file(tmp_path, case):
    outcome, page = write(tmp_path, **CASES[case])
    assert page.open == []
    assert "".join(page.text["title"]).startswith(outcome.title)
    tags = {name for name, _ in page.tags}
    assert not tags & {"img", "link", "iframe", "object"}
    assert not [a for _, a in page.tags if "src" in a or "href" in a]
    assert "http" not in page.source
    assert "url(" not in page.source
    assert len(page.find("script")) == 1
    assert all(attributes.get("scope") for attributes in page.find("th"))
    assert all(len(alt) > 20 for alt in page.alts)
    assert "nan" not in re.sub("became nan", "", page.source.split("</style>")[1])
    files = sorted((outcome.directory / "plots").glob("*")) if page.alts else []
    assert len(files) == len(page.alts)
    for file in files:
        root = ET.fromstring(file.read_bytes())
        assert root.get("aria-label") in page.alts
        assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text


@pytest.mark.parametrize("case", CASES)
def test_the_table_fits_a_terminal(case):
    outcome = make_outcome(**CASES[case])
    text = io.StringIO()
    rich.console.Console(width=80, file=text).print(result_table(outcome))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text.getvalue()
    for arm in outcome.arms.values():
        assert arm.title.split()[0][:6] in text.getvalue()


@pytest.mark.parametrize("has_test", [True, False])
def test_the_table_shows_the_results_that_are_compared(has_test):
    outcome = make_outcome(arms=(RELU, BETTER), has_test=has_test)
    arm, difference = outcome.arms["leaky_relu"], outcome.differences["leaky_relu"]
    final = arm.test if has_test else arm.validation
    cells = arm_cells(outcome, arm)
    assert cells["mean"] == f"{100 * final.mean:.2f} %"
    assert (cells["n"], cells["result"]) == ("5", "helps")
    shown = [cells["std"], cells["difference"], *cells["95 % interval"].split(" to ")]
    expected = [final.std, difference.mean, *difference.ci95]
    assert list(map(float, shown)) == pytest.approx([100 * x for x in expected], abs=0.051)
    baseline = arm_cells(outcome, outcome.arms["relu"])
    assert (baseline["difference"], baseline["result"], baseline["p (Holm)"]) == ("", "", "")


def test_p_values_as_people_read_them():
    assert [format_p_value(p) for p in (None, 0.0005, 0.0012, 0.05)] == [
        "", "< 0.001", "0.001", "0.050",
    ]  # fmt: skip


def test_the_verdict_comes_first(tmp_path):
    outcome, page = write(tmp_path, arms=(RELU, BETTER))
    assert outcome.verdict.startswith("Use Leaky ReLU")
    body = page.source.split("<body>")[1]
    text = re.sub("<[^>]*>", "", body.split("<h2>")[0])
    assert outcome.verdict in " ".join(text.split())
    titles = page.text["h2"]
    assert titles[0] == "Differences from ReLU"
    assert titles[1] == "Accuracy against alpha and learning rate"
    assert {"All arms", "Learning curves", "Dead units", "Load the model", "Settings",
            "Machine and versions", "Failed or stopped trainings"} < set(titles)  # fmt: skip


def test_every_trial_tells_what_it_is(tmp_path):
    outcome, _ = write(tmp_path)
    for kind in ("alpha", "plane"):
        told = read_titles(outcome, f"{kind}_1_leaky_relu")
        for row in outcome.trials:
            if row.arm == "leaky_relu":
                own = [text for text in told if f"trial {row.trial_id}," in text]
                assert own
                assert all(f"learning rate {row.learning_rate:.3g}" in text for text in own)
                assert row.reason in own[0]
                if row.score is not None:
                    assert f"val_accuracy {100 * row.score:.2f} %" in own[0]


def read_titles(outcome, name):
    root = ET.parse(outcome.directory / "plots" / f"{name}.svg").getroot()
    return [title.text for title in root.iter(f"{SVG}title")]


def test_alt_texts_say_what_the_picture_shows(tmp_path):
    outcome, page = write(tmp_path, arms=(RELU, BETTER))
    best = outcome.arms["leaky_relu"].best
    good = View(outcome).good["leaky_relu"]
    by_alpha = next(alt for alt in page.alts if "against its alpha" in alt)
    assert f"Best trial of Leaky ReLU: {100 * best.score:.2f} % at " in by_alpha
    assert f"{best.hyperparameters['alpha']:.3g}" in by_alpha
    assert f"as good as its best from {good.alpha[0]:.2g} to {good.alpha[1]:.2g}" in by_alpha
    differences = next(alt for alt in page.alts if alt.startswith("Difference from ReLU"))
    low, high = outcome.differences["leaky_relu"].ci95
    assert f"(95 % interval {100 * low:.1f} to {100 * high:.1f}, n = 5), helps." in differences


def test_marks_are_filled_where_a_difference_is_shown(tmp_path):
    for effect, css in ((0.025, "dot"), (0.0, "open")):
        outcome, _ = write(tmp_path, arms=(RELU, MadeUpArm("leaky_relu", effect=effect)))
        svg = (outcome.directory / "plots" / "differences.svg").read_text()
        assert (outcome.differences["leaky_relu"].direction == 1) == (css == "dot")
        assert re.findall(r'class="(dot|open) a1"', svg) == [css]


def test_names_are_escaped(tmp_path):
    arms = (RELU, ATTACK, dataclasses.replace(LONG, title='"><img src=x onerror=alert(1)>'))
    outcome, page = write(tmp_path, arms=arms, title="<b>&", data_source="<i>", notes=["<u>"])
    body = page.source.split("</style>")[1]
    assert "<script>alert" not in body
    assert "<img" not in body
    assert 'x="><' not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert not {"b", "i", "u", "img"} & {tag for tag, _ in page.tags}
    assert all(
        re.fullmatch(r"[a-z0-9_]+\.svg", p.name) for p in (outcome.directory / "plots").iterdir()
    )


def test_control_characters_do_no_harm(tmp_path):
    arm = MadeUpArm("leaky_relu", title="a\x00b\x1b[31m\udcff")
    outcome, _ = write(tmp_path, arms=(RELU, arm))
    ET.parse(outcome.directory / "plots" / "differences.svg")


def test_equal_outcomes_make_equal_files(tmp_path):
    written = []
    for _ in range(2):
        outcome, _ = write(tmp_path, arms=(RELU, BETTER, ATTACK))
        files = sorted(outcome.directory.rglob("*.*"))
        written.append({path.name: path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert len(written[0]) > 8


def test_a_large_study_stays_small(tmp_path):
    arms = [RELU]
    arms += [MadeUpArm(f"leaky_{i}", title=f"Leaky {i}", n_trials=1000) for i in range(9)]
    outcome, _ = write(tmp_path, arms=arms, n_seeds=10, n_epochs=100)
    assert len(outcome.trials) > 9000
    assert outcome.page.stat().st_size < 1_600_000  # room for longer names and more layers
    sizes = [path.stat().st_size for path in (outcome.directory / "plots").iterdir()]
    assert max(sizes) < 300_000
    best = outcome.arms["leaky_8"].best.trial_id
    assert any(f"trial {best}," in text for text in read_titles(outcome, "alpha_9_leaky_8"))


@pytest.mark.parametrize("metric", [ACCURACY, MAE])
def test_the_best_trials_are_told_where_not_all_are(metric):
    outcome = make_outcome(metric=metric)
    told = View(outcome, n_told=4).told
    assert len(told) == 4
    assert {(arm.name, arm.best.trial_id) for arm in outcome.arms.values()} <= told


def test_what_failed_is_told(tmp_path):
    _, page = write(tmp_path, **CASES["diverged"])
    text = "".join(page.text["td"]) + "".join(page.text["span"])
    assert "final retraining of trial" in text
    assert "training loss became nan in epoch 1" in text
    assert "hopeless after epoch 2" not in text  # no failure: the pictures show it
    assert "every trial diverged" in text


def test_many_failures_are_cut(tmp_path):
    arm = MadeUpArm("relu", "relu", alpha=None, fails=True, n_trials=300)
    _, page = write(tmp_path, arms=(arm,))
    assert page.source.count("training loss became nan") == 100
    assert "the first 100 of 300" in page.source


def test_looks_at_the_test_data_are_told(tmp_path):
    assert "looked at 3 times" in write(tmp_path, n_test_looks=3)[1].source
    assert "looked at" not in write(tmp_path, n_test_looks=1)[1].source


def test_budgets_that_differ_are_told(tmp_path):
    arms = (RELU, MadeUpArm("leaky_relu", n_trials=5))
    assert "different numbers of trials" in write(tmp_path, arms=arms)[1].source
    assert "different numbers of trials" not in write(tmp_path)[1].source


@pytest.mark.parametrize(("rate", "is_told"), [(1.1e-4, True), (0.095, True), (3e-3, False)])
def test_a_chosen_point_at_an_end_of_its_range_is_told(tmp_path, rate, is_told):
    outcome = make_outcome(tmp_path / "run")
    arm = outcome.arms["relu"]
    best = dataclasses.replace(arm.best, hyperparameters={"learning_rate": rate})
    arms = {**outcome.arms, "relu": dataclasses.replace(arm, best=best)}
    source = write_report(dataclasses.replace(outcome, arms=arms)).read_text()
    assert ("of the searched range: ReLU (learning rate)" in source) == is_told


@pytest.mark.parametrize("seed", range(12))
def test_odd_values_do_no_harm(tmp_path, seed):
    draw = random.Random(seed)
    scores = [0.0, -1.0, 3e38, -3e38, math.inf, -math.inf, math.nan, None, 1.0]
    points = [None, 0.0, -1.0, 1e-9, 1e4]
    metric = draw.choice([ACCURACY, MAE, Metric("val_r2", "r2", "max", False)])
    outcome = make_outcome(tmp_path / "run", arms=(RELU, LEAKY, FAILED), metric=metric)

    def change(row, names, values):
        changes = {name: draw.choice(values) for name in names if draw.random() < 0.15}
        return dataclasses.replace(row, **changes)

    trials = [
        change(change(row, ["alpha", "learning_rate"], points), ["score"], scores)
        for row in outcome.trials
    ]
    retrainings = [change(r, ["val_score", "test_score"], scores) for r in outcome.retrainings]
    epochs = [
        dataclasses.replace(
            r, metrics={k: draw.choice([v, v, *scores]) for k, v in r.metrics.items()}
        )
        for r in outcome.epochs
    ]
    arms = outcome.arms
    verdict, _ = recommend(arms, outcome.differences, trials, retrainings, metric, True)
    assert not re.search(r"\b(nan|inf)\b", verdict)
    outcome = dataclasses.replace(
        outcome, trials=trials, retrainings=retrainings, epochs=epochs, verdict=verdict
    )
    Page(write_report(outcome))
    result_table(outcome)
    for path in (outcome.directory / "plots").iterdir():
        svg = path.read_text()
        ET.fromstring(svg)
        assert not re.search(r'="[^"]*\b(nan|inf)\b', svg.split("</style>")[1])


def test_without_optuna_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    _, page = write(tmp_path, arms=(RELU, MadeUpArm("leaky_relu", n_trials=60)))
    assert "Optuna is not installed" in page.source
    assert not any(alt.startswith("Which hyperparameter decides") for alt in page.alts)


def test_importance_is_shown(tmp_path):
    _, page = write(tmp_path, arms=(RELU, MadeUpArm("leaky_relu", n_trials=60)))
    assert any(alt.startswith("Which hyperparameter decides") for alt in page.alts)


def test_a_joint_page(tmp_path):
    outcomes = {
        net: make_outcome(tmp_path / net, arms=(RELU, BETTER, FAILED), seed=i)
        for i, net in enumerate(("mlp", "a <net>"))
    }
    page = Page(write_joint_report(outcomes, tmp_path, "Two nets"))
    assert page.open == []
    assert page.text["h2"][:2] == ["mlp", "a <net>"]
    text = " ".join(re.sub("<[^>]*>", "", page.source).split())
    for outcome in outcomes.values():
        assert outcome.verdict in text
    assert [a["href"] for a in page.find("a")] == ["mlp/report.html", "a <net>/report.html"]
    assert sum(alt.startswith("Difference from ReLU") for alt in page.alts) == 2
    assert len(list((tmp_path / "plots").iterdir())) == len(page.alts)
    assert "corrected for the number of arms of a net" in text


def test_arms_have_the_same_color_in_all_nets(tmp_path):
    elu = MadeUpArm("elu", "elu")
    outcomes = {
        "a": make_outcome(tmp_path / "a", arms=(RELU, LEAKY, elu)),
        "b": make_outcome(tmp_path / "b", arms=(RELU, elu)),
    }
    write_joint_report(outcomes, tmp_path)
    svg = [(tmp_path / "plots" / f"{i}_seeds.svg").read_text() for i in (0, 1)]
    assert all('class="open a2"><title>ELU' in text for text in map(drop_paths, svg))
    assert 'class="open a1"' in svg[0]
    assert 'class="open a1"' not in svg[1]


def drop_paths(svg):
    return re.sub(r' d="[^"]*"', "", svg)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(make_outcome(tmp_path / "run"))


def test_a_full_disk_is_no_wrong_input(tmp_path, monkeypatch):
    def write(path, data):
        raise WriteError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("keras_leaky.storage.write_whole", write)
    with pytest.raises(WriteError, match="No space left"):
        write_report(make_outcome(tmp_path / "run"))


def test_a_folder_whose_name_is_no_text(tmp_path):
    directory = os.fsdecode(os.fsencode(tmp_path) + b"/r\xffn")
    path = write_report(make_outcome(directory))
    assert r"r\udcffn/best.keras" in path.read_text()


def test_colors_are_legible_and_differ():
    names = [name for name in TABLE if name != "relu"]
    arms = [RELU, *(MadeUpArm(name, name, alpha=None) for name in names)]
    arms += [MadeUpArm(f"leaky_relu={i}", alpha=0.1) for i in range(6)]
    colors = color_classes(make_outcome(arms=arms, n_seeds=1).arms.values())
    for i, (background, least) in enumerate(((LIGHT, 3), (DARK, 4.5))):
        shown = [pair[i] for pair in colors.values()]
        assert len(set(shown)) == len(arms)
        assert min(contrast(color, background) for color in shown) >= least


def contrast(a, b):
    def luminance(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    "scale",
    [
        linear_scale(0, 1), linear_scale(-3e-5, 2e-5), linear_scale(5, 5), linear_scale(0, 1e9),
        log_scale(1e-4, 1e-1), log_scale(0.02, 0.05), log_scale(3, 3), log_scale(1e-9, 1e9),
        log_scale(0.98, 0.985), score_scale([0.1, 0.99, 0.98], ACCURACY),
        score_scale([1.0, 1.0], ACCURACY), score_scale([0.0, 1.0], ACCURACY),
        score_scale([0.971, 0.972], ACCURACY), score_scale([2.0, 2.5], MAE),
        score_scale([1.0, 1e6, 2.0, 3.0], MAE), score_scale([], ACCURACY),
    ],
)  # fmt: skip
def test_ticks_lie_on_their_axis_and_differ(scale):
    places = [scale.place(value) for value, _ in scale.ticks]
    labels = [label for _, label in scale.ticks]
    assert 2 <= len(labels) <= 9
    assert len(set(labels)) == len(labels)
    assert all(-1e-6 <= place <= 1 + 1e-6 for place in places)
    assert places == sorted(places)
    assert scale.low < scale.high
    for value, label in scale.ticks:
        shown = float(label.rstrip(" %")) / (100 if "%" in label else 1)
        assert shown == pytest.approx(value, rel=6e-3, abs=1e-12)


def test_a_trial_that_went_astray_does_not_press_the_others_together():
    scores = [-1e6, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    scale = score_scale(scores, dataclasses.replace(ACCURACY, is_fraction=False))
    assert scale.low > -3
    assert scale.place(-1e6) == 0


def test_better_accuracies_are_higher():
    scale = score_scale([0.9, 0.99, 0.999, 1.0], ACCURACY)
    places = [scale.place(score) for score in (0.9, 0.99, 0.999, 1.0)]
    assert places == sorted(places)
    assert places[2] - places[1] == pytest.approx(places[1] - places[0])


def test_texts_are_cut_to_their_room():
    assert shorten("short", 100) == "short"
    for text in ("a very long name" * 9, "ガウス" * 30):
        cut = shorten(text, 100)
        assert cut.endswith("…")
        assert text_width(cut) <= 100
        assert text.startswith(cut[:-1])


def test_scores_as_people_read_them():
    assert format_score(0.98765, ACCURACY) == "98.77 %"
    assert format_score(2.34567, MAE) == "2.346"
    assert format_score(90.331, MAE, 12.9) == "90"
    assert format_score(2.34567, MAE, 0.052) == "2.346"
    assert format_score(2.3, MAE, 0.0) == "2.3"
    assert format_score(None, MAE) == ""


def test_settings_are_flat():
    nested = {"a": 1, "b": {"c": [1, 2], "d": {}, "e": None}, "f": "", "g": False, "h": "x" * 999}
    found = dict(flatten(nested))
    assert list(found) == ["a", "b.c", "g", "h"]
    assert found["b.c"] == "1, 2"
    assert len(found["h"]) == 501


def test_a_linear_space_that_holds_0(tmp_path):
    outcome = make_outcome(tmp_path / "run")
    arm = outcome.arms["leaky_relu"]
    space = {**arm.space, "alpha": Range(-0.5, 1.0, "linear")}
    arms = {**outcome.arms, "leaky_relu": dataclasses.replace(arm, space=space)}
    write_report(dataclasses.replace(outcome, arms=arms))
    svg = (outcome.directory / "plots" / "alpha_1_leaky_relu.svg").read_text()
    assert ">-0.50<" in svg or ">-0.5<" in svg
