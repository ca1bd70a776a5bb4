"""The page of a report in a real browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_up import OBJECTIVES, made_up_overview, made_up_records

from raydet.search.report.overview import overview
from raydet.search.report.page import page
from raydet.search.report.plots import PLOTS

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
ARTEFACTS = Path(__file__).parents[2] / "work_dirs" / "test_artefacts"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--v=0"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")]


def browse(*arguments):
    command = [BROWSER, *FLAGS, "--virtual-time-budget=4000", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(made_up_overview(2)), encoding="utf-8")
    return path.as_uri()


def test_the_script_draws_every_plot_without_an_error(file):
    done = browse("--window-size=1200,900", "--dump-dom", file)
    assert "CONSOLE" not in done.stderr
    plots = dict(re.findall(r'data-plot="(\w+)">(.*?)</section>', done.stdout, re.DOTALL))
    assert set(plots) == set(PLOTS)
    for name, drawn in plots.items():
        assert "<svg" in drawn, name
        assert "NaN" not in drawn, name
    for name in ("history", "curves", "parallel", "slices", "pareto"):
        assert len(set(re.findall(r'data-trial="(\d+)"', plots[name]))) >= 15, name


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_young_sweep_has_a_page_without_errors(tmp_path, count):
    records = made_up_records()[-count:] if count else []
    path = tmp_path / "report.html"
    path.write_text(page(overview("young", records, OBJECTIVES)), encoding="utf-8")
    assert "CONSOLE" not in browse("--window-size=1200,900", "--dump-dom", path.as_uri()).stderr


@pytest.mark.parametrize(("name", "scheme", "width"), [("light", 1, 1200), ("dark", 0, 1200), ("narrow", 1, 420)])
def test_screenshots_are_there_to_be_looked_at(file, name, scheme, width):
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    picture = ARTEFACTS / f"sweep_report_{name}.png"
    picture.unlink(missing_ok=True)
    scheme_flag = f"--blink-settings=preferredColorScheme={scheme}"
    done = browse(scheme_flag, f"--window-size={width},3400", f"--screenshot={picture}", file)
    assert "CONSOLE" not in done.stderr
    assert picture.stat().st_size > 50_000
