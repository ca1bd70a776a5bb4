"""Tables, pictures and the page of a report."""

import json
import re

import pyarrow.parquet as pq
from made_up import OBJECTIVES, REASONS, made_up_overview

from raydet.search.report.overview import overview
from raydet.search.report.page import page
from raydet.search.report.plots import PLOTS, write_plots
from raydet.search.report.tables import change, leaderboard, write_parquet


def data_of(text):
    return json.loads(re.search(r"id='sweep'>(.*?)</script>", text, re.DOTALL)[1])


def test_parquet_holds_a_row_for_each_trial_with_typed_columns(tmp_path):
    view = made_up_overview(2)
    write_parquet(view, tmp_path / "trials.parquet")
    table = pq.read_table(tmp_path / "trials.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert table.num_rows == len(view.trials)
    assert types["param_lr"] == types["value_latency"] == types["fact_anchor_recall"] == "double"
    assert types["param_scale"] == "int64"
    assert types["param_loss"] == "string"
    rows = table.to_pylist()
    assert rows[7]["reason"] == REASONS[7]
    assert json.loads(rows[1]["options"])["optimizer.lr"] == rows[1]["param_lr"]
    assert {row["param_gamma"] is None for row in rows} == {True, False}


def test_the_leaderboard_says_what_the_best_gains_on_the_default():
    view = made_up_overview()
    text = leaderboard(view)
    default, best = view.value(0), view.value(view.best)
    assert f"Best: trial {view.best} with bbox_mAP {best:.4g}" in text
    assert f"The default config (trial 0) has {default:.4g}: {change(default, best)}" in text
    assert f"- 7: {REASONS[7]}" in text
    assert f"| 1 | {view.best} |" in text


def test_plots_are_drawn_for_what_there_is(tmp_path):
    assert {file.stem for file in write_plots(made_up_overview(2), tmp_path)} == set(PLOTS)
    assert write_plots(overview("new", [], OBJECTIVES[:1]), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_page_needs_nothing_from_elsewhere():
    text = page(made_up_overview(2))
    assert not re.search(r"(src|href)\s*=\s*['\"](?!data:)|@import|url\(", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_text_of_trials_cannot_break_out_of_the_page():
    text = page(made_up_overview())
    assert text.count("</script>") == 2
    assert data_of(text)["trials"][7]["reason"] == REASONS[7]


def test_the_page_has_a_place_for_each_plot_and_a_row_for_each_trial():
    view = made_up_overview(2)
    text = page(view)
    assert set(re.findall(r"data-plot='(\w+)'", text)) == set(PLOTS)
    assert len(re.findall(r"<tr data-trial", text)) == len(view.trials)
    assert {"pareto", "anchors"}.isdisjoint(
        re.findall(r"data-plot='(\w+)'", page(overview("x", view.trials, OBJECTIVES[:1])))
    )


def test_a_sweep_without_trials_has_a_page():
    assert "No trial has started yet" in page(overview("new", [], OBJECTIVES[:1]))
