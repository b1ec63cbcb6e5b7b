"""The report in a browser: silent, self-contained, at work on a phone, and on paper.

Runs where a Chromium is found (or named by CHROMIUM). REPORT_PICTURES names a folder that keeps
screenshots and PDFs, to look at.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import policy_file
from small_network import network

import twin
from twin.cli.main import call
from twin.report.run.page import render_result

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)"),
]

Browse = Callable[..., tuple[str, list[str]]]

PHONE, PHONE_HEIGHT = 390, 9000

USE = """
<script>
// What a reader does: sort, go to an event, zoom, hide a policy, look at another link.
const all = (selector) => [...document.querySelectorAll(selector)];
all("table.sortable thead button").forEach((button) => button.click());
all(".controls button").forEach((button) => button.click());
document.querySelector("[data-zoom=in]").click();
all("figure:not([hidden]) [data-policy]")[0].click();
const select = document.getElementById("link");
select.value = String(select.options.length - 1);
select.dispatchEvent(new Event("change"));
const [left, , width] = document.querySelector("figure:not([hidden]) .plot")
  .getAttribute("viewBox").split(" ").map(Number);
const whole = Number(document.querySelector("figure.series").dataset.wide);
const set = (name, value, event) => {
  const part = document.querySelector(`[data-map=${name}]`);
  part.value = value;
  part.dispatchEvent(new Event(event));
};
let mapped = "none";
if (document.querySelector("figure.network")) {
  const look = () => all("g.link[data-name]").map((link) => link.getAttribute("class")).join();
  const readout = () => document.querySelector(".readout").textContent;
  set("view", "worst", "change");
  const [worst, said] = [look(), readout()];
  set("view", "instant", "change");
  set("instant", "2", "input");
  const early = look();
  set("against", "c", "change");
  const capacity = look();
  set("link", "3", "change");
  const name = all("g.link[data-name]")[3].dataset.name;
  const named = readout().startsWith(`${name} at `);
  all("g.link[data-name]")[3].dispatchEvent(new Event("click"));
  const went = select.selectedOptions[0].textContent === name;
  const pointed = (all("g.link[data-name]")[1].dispatchEvent(new Event("pointerenter")), readout());
  const states = new Set([worst, early, capacity]).size === 3;
  mapped = states && named && went && said.includes(" links above ") && pointed.includes("Mbit/s");
}
parent.postMessage([
  `zoomed=${width < whole && left >= 0}`,
  `sorted=${all("th[aria-sort]").length === 1}`,
  `labels=${all("figure:not([hidden]) .xs span").length > 1}`,
  `hidden=${document.querySelector(".plot .p0")?.style.display === "none"}`,
  `fits=${document.documentElement.scrollWidth <= innerWidth}`,
  `mapped=${mapped}`,
  `fetched=${performance.getEntriesByType("resource").length}`,
].join(" "), "*");
</script>
"""
CUT = {"kind": "link_failure", "links": ["A>C", "C>A"], "start": "1h", "duration": "1h"}
FAILURES = """
<script>
// What a reader of a contingency does: choose a failure, then a link.
const all = (selector) => [...document.querySelectorAll(selector)];
const set = (name, value) => {
  const part = document.querySelector(`[data-map=${name}]`);
  part.value = value;
  part.dispatchEvent(new Event("change"));
};
const readout = () => document.querySelector(".readout").textContent;
set("failure", "0");
const down = document.querySelector("[data-map=failure]").selectedOptions[0].dataset.down;
const links = all("g.link[data-name]");
const struck = links.flatMap((link, i) => (link.classList.contains("down") ? [i] : []));
const failed = readout();
set("link", "1");
parent.postMessage([
  `down=${struck.join(" ") === down}`,
  `said=${failed.includes(" down: ")}`,
  `link=${readout().startsWith(all("g.link[data-name]")[1].dataset.name)}`,
  `fits=${document.documentElement.scrollWidth <= innerWidth}`,
].join(" "), "*");
</script>
"""
FRAME = """<!doctype html><body style="margin:0"><script>
addEventListener("message", (event) => { document.body.dataset.said = event.data; });
</script><iframe src="%s" style="border:0;width:%dpx;height:%dpx"></iframe>
"""


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Open a file without a network; return what is printed, and the lines of the console."""

    def call(file: Path, *options: str) -> tuple[str, list[str]]:
        assert CHROMIUM is not None
        done = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--hide-scrollbars", "--disable-background-networking", "--disable-sync",
                "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
                "--allow-file-access-from-files", "--virtual-time-budget=5000",
                "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}",
                *options, file.as_uri(),
            ],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return call


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what a person would look at."""
    named = os.environ.get("REPORT_PICTURES")
    folder = Path(named).resolve() if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _crowded(make: Callable[..., Path], tmp_path: Path) -> str:
    """Return a report with long names, many links, a bound, a failure and a policy that fails."""
    long = "a_policy_whose_name_is_longer_than_any_column_should_be"
    policy_file(tmp_path, "weak", "return np.full(12, np.nan)")
    links = [f"facility-{i + 1}.north-west.example.core-router-{i % 3}" for i in range(12)]
    wave = 300 + 150 * np.sin(np.arange(1152) * np.pi / 144)[:, None]
    demand = wave * np.random.default_rng(1).lognormal(0, 0.1, (1152, 12))
    margins = [{"name": f"rolling-{m}", "use": "rolling_max", "margin": m} for m in (0, 0.1, 0.3)]
    policies = [
        {"name": long, "use": "rolling_max"}, "static_mean2sigma", "static_p95", "weak",
        "last_value", "oracle", *margins,
    ]  # fmt: skip
    events = [
        {"kind": "surge", "name": "a-derby-with-a-name-of-some-length", "links": links[:2],
         "start": "8h", "duration": "2h", "factor": 2.5, "ramp": "10min"},
        {"kind": "link_failure", "links": [links[4]], "start": "20h 2min", "duration": "45min"},
    ]  # fmt: skip
    path = make(demand, policies, links=links, events=events, fallback={"use": "last_value"})
    return render_result(twin.run(path))


@pytest.mark.parametrize("name", ["link_failure", "crowded", "network"])
def test_a_report_works_on_a_desk_on_a_phone_and_on_paper(
    name: str, make: Callable[..., Path], tmp_path: Path, pictures: Path, browse: Browse
) -> None:
    mapped = name == "network"
    text = (
        _crowded(make, tmp_path) if name == "crowded" else
        render_result(twin.run(network(tmp_path, events=[CUT]) if mapped else name))
    )  # fmt: skip
    report = tmp_path / "page.html"
    report.write_text(text, encoding="utf-8")

    shot = pictures / f"{name}.png"
    _, console = browse(report, "--window-size=1280,6000", f"--screenshot={shot}")
    assert console == []
    assert shot.stat().st_size > 50_000

    (tmp_path / "used.html").write_text(text.replace("</body>", f"{USE}</body>"))
    frame = tmp_path / "phone.html"
    frame.write_text(FRAME % ("used.html", PHONE, PHONE_HEIGHT))
    dom, console = browse(frame, "--dump-dom")
    assert console == []
    said = re.search('data-said="([^"]*)"', dom)
    assert said is not None
    assert said[1] == (
        "zoomed=true sorted=true labels=true hidden=true fits=true "
        f"mapped={'true' if mapped else 'none'} fetched=0"
    )

    frame.write_text(FRAME % ("page.html", PHONE, PHONE_HEIGHT))
    browse(
        frame, f"--window-size={PHONE},{PHONE_HEIGHT}",
        f"--screenshot={pictures / f'{name}-phone.png'}",
    )  # fmt: skip

    paper = pictures / f"{name}.pdf"
    _, console = browse(report, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    assert console == []
    assert paper.read_bytes().startswith(b"%PDF")


def test_the_page_of_a_contingency_works_on_a_phone(
    tmp_path: Path, pictures: Path, browse: Browse
) -> None:
    out = tmp_path / "out"
    assert call(["contingency", str(network(tmp_path)), "--out", str(out)]) == 0
    text = (out / "report.html").read_text(encoding="utf-8")
    (tmp_path / "used.html").write_text(text.replace("</body>", f"{FAILURES}</body>"))
    frame = tmp_path / "phone.html"
    frame.write_text(FRAME % ("used.html", PHONE, PHONE_HEIGHT))
    dom, console = browse(frame, "--dump-dom")
    assert console == []
    said = re.search('data-said="([^"]*)"', dom)
    assert said is not None
    assert said[1] == "down=true said=true link=true fits=true"
    shot = pictures / "contingency.png"
    _, console = browse(out / "report.html", "--window-size=1280,3000", f"--screenshot={shot}")
    assert console == []


def test_a_page_that_asks_the_network_is_noticed(tmp_path: Path, browse: Browse) -> None:
    text = render_result(twin.run("surge", policies=["static_p95"]))
    report = tmp_path / "page.html"
    report.write_text(text.replace("</body>", '<img src="https://example.org/x.png"></body>'))
    _, console = browse(report, "--dump-dom")
    assert any("Content Security Policy" in line for line in console)


def test_dates_of_an_axis_stay_the_same_when_a_browser_draws_them(
    tmp_path: Path, browse: Browse
) -> None:
    times = pd.date_range("2026-03-24", periods=5 * 288, freq="5min", tz="UTC")
    pd.DataFrame({"a": 100 + np.sin(np.arange(len(times)))}, index=times).to_csv(
        tmp_path / "t.csv", index_label="time"
    )
    demand = {
        "source": "csv", "path": str(tmp_path / "t.csv"), "columns": {"internet": "a"},
        "timezone": "Europe/Berlin", "train": 0.9,
    }  # fmt: skip
    page = tmp_path / "dated.html"
    page.write_text(render_result(twin.run({"name": "d", "demand": demand, "policies": "static_p95"
                                            .split()})), encoding="utf-8")  # fmt: skip
    drawn, console = browse(page, "--dump-dom")
    assert console == []
    marks = re.compile(r'class="xs"[^>]*>(.*?)</div>')
    label = re.compile(r'left: ?([\d.]+)%;?">([^<]*)<')
    written, shown = (
        [(round(float(at), 2), name) for at, name in label.findall(marks.findall(text)[0])]
        for text in (page.read_text(encoding="utf-8"), drawn)
    )
    assert written == shown
    assert [name for _, name in shown] == ["15:00", "18:00", "21:00", "29 Mar"]
