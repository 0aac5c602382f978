"""The pictures of a search, each with a text that says what it shows."""

from collections.abc import Callable, Sequence

from keras_leaky.study.good_points import is_scored
from keras_leaky.study.outcome import ArmOutcome, Metric
from keras_leaky.study.report.style import QUALITY
from keras_leaky.study.report.svg import WIDTH, Panel, shorten, text_width
from keras_leaky.study.report.view import (
    Picture,
    View,
    format_ends,
    format_score,
    percent_scale,
    space_scale,
)
from keras_leaky.study.rows import TrialRow
from keras_leaky.study.statistics import is_finite
from keras_leaky.study.wording import alpha_title, capitalize, format_number, metric_title


def draw_alpha(view: View, arm: ArmOutcome) -> Picture | None:
    """Score against alpha."""
    return _draw_against(view, arm, [arm], "alpha", f"alpha ({alpha_title(arm)})")


def draw_learning_rate(view: View, arm: ArmOutcome) -> Picture | None:
    """Score against learning rate: an arm, and the baseline behind it."""
    shown = [arm] if arm.is_baseline else [view.baseline, arm]
    return _draw_against(view, arm, shown, "learning_rate", "learning rate")


def _draw_against(
    view: View, arm: ArmOutcome, shown: Sequence[ArmOutcome], name: str, label: str
) -> Picture | None:
    rows = [r for a in shown for r in view.trials[a.name] if getattr(r, name) is not None]
    own = [row for row in rows if row.arm == arm.name]
    if len({getattr(row, name) for row in own}) < 2 or not any(map(is_scored, own)):
        return None
    x = space_scale([getattr(row, name) for row in rows], [a.space.get(name) for a in shown])
    against = f" and {view.baseline.title}" if len(shown) > 1 else ""
    panel = Panel(
        f"{arm.title}{against}",
        x,
        label,
        view.scale,
        f"{metric_title(view.metric)} on validation data",
        legend=view.legend(shown) if len(shown) > 1 else (),
    )
    words = [f"{capitalize(metric_title(view.metric))} of {arm.title} against its {label}."]
    for one in shown:
        good = view.good[one.name]
        ends = getattr(good, name) if good else None
        if good and ends:
            left, right = (panel.to_x(end) for end in ends)
            told = f"{one.title}: {label} {format_ends(ends)} is as good as the best"
            panel.box(
                left, panel.top, right - left, panel.bottom - panel.top, view.css("band", one), told
            )
            words.append(f"{one.title} is as good as its best from {format_ends(ends, ' to ')}.")
        if good and one is arm:
            y = panel.to_y(good.threshold)
            panel.line([(panel.left, y), (panel.right, y)], view.css("limit", one))
    for one in shown:
        ours = [row for row in rows if row.arm == one.name]
        _draw_trials(view, panel, one, ours, lambda row: panel.to_x(getattr(row, name)))
        if one.best is not None and name in one.best.hyperparameters:
            value = one.best.hyperparameters[name]
            words.insert(
                1,
                f"Best trial of {one.title}: {format_score(one.best.score, view.metric)} at "
                f"{format_number(value, 3)}.",
            )
    kind = "alpha" if name == "alpha" else "learning_rate"
    return view.picture(view.file_name(kind, arm), panel, " ".join(words))


def _draw_trials(
    view: View,
    panel: Panel,
    arm: ArmOutcome,
    rows: Sequence[TrialRow],
    to_x: Callable[[TrialRow], float],
) -> None:
    """Marks for trials with a score, crosses on the axis for those without."""
    quiet = []
    for row in rows:
        if is_scored(row):
            x, y = to_x(row), panel.to_y(row.score or 0.0)
        else:
            x, y = to_x(row), panel.bottom - 6
        if (row.arm, row.trial_id) not in view.told:
            if is_scored(row):
                quiet.append((x, y))
            continue
        told = tell_trial(row, arm, view.metric)
        if not is_scored(row):
            panel.mark(x, y, "cross", 3.5, view.css("cross", arm), told)
        else:
            css = "open" if row.status == "STOPPED" else "dot"
            panel.mark(x, y, view.shape(arm), 4, view.css(css, arm), told)
    panel.dots(quiet, view.css("dots", arm))
    best = arm.best
    chosen = next((row for row in rows if best and row.trial_id == best.trial_id), None)
    if chosen and is_scored(chosen):
        told = f"chosen: {tell_trial(chosen, arm, view.metric)}"
        panel.mark(to_x(chosen), panel.to_y(chosen.score or 0.0), "circle", 7.5, "ring", told)


def tell_trial(row: TrialRow, arm: ArmOutcome, metric: Metric) -> str:
    """A trial in a line."""
    parts = [f"{arm.title}, trial {row.trial_id}"]
    values = {"alpha": row.alpha, "learning rate": row.learning_rate, **row.hyperparameters}
    parts += [
        f"{name} {format_number(v, 3) if isinstance(v, float) else v}"
        for name, v in values.items()
        if v is not None
    ]
    if is_finite(row.score):
        parts.append(f"{metric.objective} {format_score(row.score, metric)}")
    if row.best_epoch is not None:
        parts.append(f"best epoch {row.best_epoch}")
    if row.status != "COMPLETED":
        parts.append(row.status.lower())
    if row.reason:
        parts.append(row.reason[:120])
    return ", ".join(parts)


def draw_learning_rates(view: View) -> Picture | None:
    """Score against learning rate, all arms: the best trial of each arm at about a rate joined."""
    rows = [
        row
        for row in view.outcome.trials
        if row.learning_rate is not None and is_scored(row) and row.status != "STOPPED"
    ]
    rates = [row.learning_rate or 0.0 for row in rows]
    if len(set(rates)) < 2:
        return None
    x = space_scale(rates, [arm.space.get("learning_rate") for arm in view.arms])
    label = f"{metric_title(view.metric)} on validation data"
    panel = Panel(
        "Best trials by learning rate",
        x,
        "learning rate",
        view.scale,
        label,
        legend=view.legend(arm for arm in view.arms if any(row.arm == arm.name for row in rows)),
    )
    sign = 1 if view.metric.direction == "max" else -1
    sentences = ["Best trials of every arm by learning rate."]
    for arm in view.arms:
        best: dict[int, TrialRow] = {}
        for row in rows:
            if row.arm == arm.name:
                place = int(12 * x.place(row.learning_rate or 0.0))
                rival = best.get(place)
                if rival is None or sign * (row.score or 0.0) > sign * (rival.score or 0.0):
                    best[place] = row
        ours = [best[place] for place in sorted(best)]
        if not ours:
            continue
        points = [(panel.to_x(r.learning_rate or 0.0), panel.to_y(r.score or 0.0)) for r in ours]
        panel.line(points, view.css("line", arm), arm.title)
        for point, row in zip(points, ours, strict=True):
            told = tell_trial(row, arm, view.metric)
            panel.mark(*point, view.shape(arm), 3.5, view.css("dot", arm), told)
        top = max(ours, key=lambda row: sign * (row.score or 0.0))
        sentences.append(
            f"{arm.title}: {format_score(top.score, view.metric)} at "
            f"{format_number(top.learning_rate or 0.0)}."
        )
    return view.picture("learning_rates", panel, " ".join(sentences))


def draw_plane(view: View, arm: ArmOutcome) -> Picture | None:
    """The trials in the plane of alpha and learning rate, colored by score."""
    rows = [r for r in view.trials[arm.name] if r.alpha is not None and r.learning_rate is not None]
    scored = sorted(filter(is_scored, rows), key=lambda row: row.epochs)
    alphas, rates = [row.alpha or 0.0 for row in rows], [row.learning_rate or 0.0 for row in rows]
    if len(set(alphas)) < 2 or len(set(rates)) < 2 or not scored:
        return None
    panel = Panel(
        f"{arm.title}: alpha and learning rate",
        space_scale(alphas, [arm.space.get("alpha")]),
        f"alpha ({alpha_title(arm)})",
        space_scale(rates, [arm.space.get("learning_rate")]),
        "learning rate",
        height=330,
    )
    _draw_legend(view, panel)
    good = view.good[arm.name]
    sentences = [f"{len(rows)} trials of {arm.title} in alpha and learning rate."]
    if good and good.alpha and good.learning_rate:
        left, right = map(panel.to_x, good.alpha)
        bottom, top = map(panel.to_y, good.learning_rate)
        ends = f"alpha {format_ends(good.alpha)}, learning rate {format_ends(good.learning_rate)}"
        told = f"as good as the best: {ends}"
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        panel.line(corners, view.css("limit", arm), told)
        sentences.append(f"The region {told}.")
    quiet: dict[int, list[tuple[float, float]]] = {}
    for row in scored:
        quality = _quality(row, view)
        place = panel.to_x(row.alpha or 0.0), panel.to_y(row.learning_rate or 0.0)
        if (row.arm, row.trial_id) in view.told:
            panel.mark(*place, "circle", 5.5, f"dot q{quality}", tell_trial(row, arm, view.metric))
        else:
            quiet.setdefault(quality, []).append(place)
    for quality, places in sorted(quiet.items()):
        panel.dots(places, f"dots q{quality}")
    for row in rows:
        if not is_scored(row) and (row.arm, row.trial_id) in view.told:
            place = panel.to_x(row.alpha or 0.0), panel.to_y(row.learning_rate or 0.0)
            told = tell_trial(row, arm, view.metric)
            panel.mark(*place, "cross", 4, view.css("cross", arm), told)
    chosen = next((r for r in scored if arm.best and r.trial_id == arm.best.trial_id), None)
    if chosen:
        told = tell_trial(chosen, arm, view.metric)
        place = panel.to_x(chosen.alpha or 0.0), panel.to_y(chosen.learning_rate or 0.0)
        panel.mark(*place, "circle", 9, "ring", f"chosen: {told}")
        sentences.append(f"Chosen: {told}.")
    return view.picture(view.file_name("plane", arm), panel, " ".join(sentences))


def _draw_legend(view: View, panel: Panel) -> None:
    """Eight colors from the worst to the best score."""
    worst, best = view.scale.low, view.scale.high
    if view.metric.direction == "min":
        worst, best = best, worst
    texts = [
        f"{100 * min(max(end, 0), 1):.1f} %" if view.metric.is_fraction else format_number(end)
        for end in (worst, best)
    ]
    width = 12
    first = WIDTH - 14 - text_width(texts[1]) - width * len(QUALITY)
    for i in range(len(QUALITY)):
        panel.box(first + width * i, 26, width, 10, f"full q{i}")
    panel.text(first - 5, 36, texts[0], "end", "quiet")
    panel.text(first + width * len(QUALITY) + 5, 36, texts[1], css="quiet")


def _quality(row: TrialRow, view: View) -> int:
    share = view.scale.place(row.score or 0.0)
    share = share if view.metric.direction == "max" else 1 - share
    return min(int(share * len(QUALITY)), len(QUALITY) - 1)


def draw_importance(view: View) -> Picture | None:
    """How much each hyperparameter decides, by arm."""
    shares = view.importance
    if not shares:
        return None
    arms = [arm for arm in view.arms if arm.name in shares]
    n_bars = sum(map(len, shares.values()))
    panel = Panel(
        "Which hyperparameter decides",
        percent_scale(1.0),
        "share of importance (PED-ANOVA)",
        height=76 + 24 * len(arms) + 30 * n_bars,
        left=14,
    )
    y, sentences = 34.0, ["Which hyperparameter decides whether a trial is among the best."]
    for arm in arms:
        y += 20
        panel.text(panel.left, y, shorten(arm.title, WIDTH - 30), css=view.css("full", arm))
        for name, share in shares[arm.name].items():
            told = f"{arm.title}: {name.replace('_', ' ')} {100 * share:.0f} %"
            panel.text(panel.left + 8, y + 16, shorten(name.replace("_", " "), WIDTH - 100))
            panel.text(panel.right, y + 16, f"{100 * share:.0f} %", "end")
            start = panel.to_x(0.0)
            panel.box(start, y + 20, panel.to_x(share) - start, 7, view.css("full", arm), told)
            sentences.append(f"{told}.")
            y += 30
        y += 4
    return view.picture("importance", panel, " ".join(sentences))
