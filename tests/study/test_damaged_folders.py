"""Damaged or lost files of a study are renamed and regenerated."""

import pytest

from keras_leaky.study import load
from keras_leaky.study.command_line import exit_code
from tests.study.small_studies import FIT, TEST, X, Y, make_study, rows_without_times


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    study = make_study(tmp_path_factory.mktemp("study") / "run", trials=2)
    return study.run(X, Y, test_data=TEST, **FIT)


@pytest.fixture
def folder(tmp_path, undisturbed):
    """A copy of the finished study."""
    import shutil

    shutil.copytree(undisturbed.directory, tmp_path / "run")
    return tmp_path / "run"


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [".lock", "search/relu/.lock"])
def test_a_link_in_the_place_of_a_lock_is_one_sentence(folder, capsys, place):
    lock = folder / place
    lock.unlink(missing_ok=True)
    lock.symlink_to("nowhere")
    code = exit_code(lambda: make_study(folder, trials=2).run(X, Y, test_data=TEST, **FIT))
    assert code == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith(f"error: {lock} is damaged: it is not a file. Delete it")
    assert "\n" not in told
    lock.unlink()
    assert exit_code(lambda: make_study(folder, trials=2).run(X, Y, test_data=TEST, **FIT)) == 0


@pytest.mark.parametrize("how", ["damaged", pytest.param("deleted", marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("pattern", "is_renamed"),
    [
        ("retrainings/relu/final-*.json", True),
        ("retrainings/leaky_relu/finalist-*.json", True),
        ("retrainings/leaky_relu/best.keras", False),
        ("search/leaky_relu/trial_1/trial.json", True),
        ("search/relu/trial_0/checkpoint.weights.h5", True),
        ("search/relu/oracle.json", True),
        ("trials.csv", False),
        ("summary.json", False),
        ("best.keras", False),
        ("environment.json", False),
        ("report.html", False),
    ],
)
def test_a_resume_ends_as_before(undisturbed, folder, pattern, is_renamed, how):
    path = sorted(folder.glob(pattern))[0]
    if how == "damaged":
        damage(path)
    else:
        path.unlink()
    outcome = make_study(folder, trials=2).run(X, Y, test_data=TEST, **FIT)
    for name in ("trials", "retrainings", "dead_units", "epochs"):
        received, expected = getattr(outcome, name), getattr(undisturbed, name)
        assert rows_without_times(received) == rows_without_times(expected)
    assert outcome.verdict == undisturbed.verdict
    assert outcome.n_test_looks == 1
    assert path.exists()
    if how == "damaged" and is_renamed:
        assert path.with_name(f"{path.name}.damaged").exists()
    assert outcome.best_model().count_params() == undisturbed.best_model().count_params()


def test_load_leaves_damaged_records_out_and_as_they_are(undisturbed, folder):
    path = next(folder.glob("retrainings/relu/final-*.json"))
    damage(path)
    outcome = load(folder)
    assert len(outcome.retrainings) == len(undisturbed.retrainings) - 1
    assert path.exists()
