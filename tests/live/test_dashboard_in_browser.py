"""The dashboard in a browser: on a phone, a desk and a wall, in the dark, and with a token.

Runs where a Chromium is found (or named by CHROMIUM). DASHBOARD_PICTURES names a folder that keeps
the pictures, to look at.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from browser import CHROMIUM, Browser
from fed import HISTORY, opened, scenario, trace
from serving import POLICIES, Running
from test_http_tokens import READ, tokens

import twin
from twin.live.http.serve import Address, bound, url_of
from twin.live.http.tokens import ApiTokens
from twin.live.living import LivingTwin
from twin.scenario.given import Overrides
from twin.telemetry.source import head

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)"),
]
SHOWN = (
    "typeof page !== 'undefined' && page.state !== null && !!document.querySelector('#chart svg')"
)
CUT = (
    "[...document.querySelectorAll('.wide')].filter((box) => box.scrollWidth > box.clientWidth)"
    ".map((box) => box.closest('section').id)"
)
WIDTHS = [(400, 900), (1300, 1000), (2560, 1440)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("DASHBOARD_PICTURES")
    folder = Path(named).resolve() if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as made:
        yield made


class Served:
    """A twin behind a real server, with a clock that the test sets."""

    def __init__(self, made: LivingTwin, known: ApiTokens | None = None) -> None:
        self.running = Running(made, known)
        self.running.time = made.begins_s
        listening = bound(Address("127.0.0.1", 0))
        self.url = url_of(listening)
        self._server = uvicorn.Server(
            uvicorn.Config(self.running.app, log_config=None, timeout_graceful_shutdown=1)
        )
        run = {"sockets": [listening]}
        self._threads = [
            threading.Thread(target=self.running.loop.run),
            threading.Thread(target=self._server.run, kwargs=run),
        ]

    def __enter__(self) -> Served:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.running.service.end_streams()
        self._server.should_exit = True
        self._threads[1].join()
        self.running.loop.stop()
        self._threads[0].join()
        self.running.twin.close()


def close(served: Served, intervals: int) -> None:
    """Let intervals close with demand as in the first ones of the history."""
    running = served.running
    made, loop = running.twin, running.loop
    for _ in range(intervals):
        k = made.interval
        lines = ["time,link,internet"]
        at = made.begins_s + k * made.tick_s
        rows = made.simulation.source.values("internet", k, k + 1)[0]
        lines += [
            f"{at:.0f},{name},{mbps:.3f}" for name, mbps in zip(made.flows, rows, strict=True)
        ]
        from twin.live.formats import tables
        from twin.live.formats.reading import Reading

        samples = tables.read("\n".join(lines).encode(), Reading())
        running.time = at + made.tick_s
        loop.take(samples).result(10)
        while loop.present.closed <= k:
            threading.Event().wait(0.005)


def many(folder: Path, links: int) -> LivingTwin:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(1)
    t = np.arange(HISTORY)[:, None]
    base = rng.uniform(20, 900, links)
    frame = pd.DataFrame(
        base * (1.3 + np.sin(2 * np.pi * t / 288)) + rng.normal(0, 0.05, (HISTORY, links)) * base,
        columns=[f"facility-{i + 1}.north-west.example.core-router-{i % 3}" for i in range(links)],
    )
    frame.index = pd.date_range("2026-01-01", periods=HISTORY, freq="5min")
    past = twin.Trace.from_frame(frame.clip(lower=0))
    return LivingTwin.open(scenario(POLICIES, past), folder)


def test_a_network_is_seen_on_every_screen(
    tmp_path: Path, pictures: Path, browser: Browser
) -> None:
    loaded = twin.Scenario.load("network", Overrides(policies=("static_p95", "rolling_max")))
    with Served(LivingTwin.open(loaded, tmp_path / "state", split=True)) as served:
        close(served, 12)
        for width, height in WIDTHS:
            for dark in (False, True):
                browser.open(served.url, width, height, dark=dark)
                browser.until(SHOWN)
                browser.until("page.risks.size > 0")
                browser.until("document.querySelectorAll('#scores td').length > 0")
                assert browser.evaluate("document.querySelectorAll('#map g.link').length") == 34
                # Every link has its colour, and nothing is wider than the screen.
                assert browser.evaluate("document.querySelectorAll('#map .unknown').length") == 0
                assert browser.evaluate("document.documentElement.scrollWidth") == width
                # On a desk and a wall no table has to be scrolled to the side.
                if width > 400:
                    assert browser.evaluate(CUT) == []
                browser.picture(pictures / f"network-{width}{'-dark' if dark else ''}.png")
        # Nothing was granted before the live began, and so nothing was short of it.
        assert browser.evaluate("document.querySelectorAll('#chart .short').length") == 0
        # A click on the map chooses a link, and what comes is shown without being asked for.
        browser.evaluate(
            "document.querySelector('g.link[data-name=\"Paris>London\"]')"
            ".dispatchEvent(new Event('click'))"
        )
        browser.until("document.querySelector('#chart svg').ariaLabel.endsWith('Paris>London')")
        before = browser.evaluate("document.getElementById('clock').textContent")
        close(served, 1)
        browser.until(f"document.getElementById('clock').textContent !== {before!r}")
    browser.until("document.getElementById('status').textContent === 'no connection'")
    assert [line for line in browser.console if "ERR_CONNECTION" not in line
            and "ERR_INCOMPLETE" not in line] == []  # fmt: skip


def test_five_hundred_links_are_painted_within_a_second(
    tmp_path: Path, pictures: Path, browser: Browser
) -> None:
    with Served(many(tmp_path / "state", 500)) as served:
        close(served, 2)
        browser.open(served.url)
        browser.until("page.state !== null")
        # It is noted down a frame later.
        browser.until("performance.getEntriesByName('first-contentful-paint').length > 0")
        painted = browser.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        assert painted < 1_000
        assert browser.evaluate("document.querySelectorAll('#link-rows tr').length") == 100
        shown = browser.evaluate("(() => { const begun = performance.now(); show(); return "
                                 "performance.now() - begun; })()")  # fmt: skip
        assert shown < 200
        browser.evaluate("byId('filter').value = 'facility-499.'; show()")
        assert browser.evaluate("document.querySelectorAll('#link-rows tr').length") == 1
        browser.evaluate("byId('filter').value = ''; show()")
        browser.picture(pictures / "many.png")
        by_keyboard(browser)
    print(f"first paint {painted:.0f} ms, a state of 500 links shown in {shown:.0f} ms")


def by_keyboard(browser: Browser) -> None:
    """The list is one stop of the Tab key, arrows go on in it, and news keep the place."""

    def press(key: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key=key)

    here = "document.activeElement.dataset.link"
    rows = "[...document.querySelectorAll('#link-rows tr')]"
    assert browser.evaluate(f"{rows}.filter((row) => row.tabIndex === 0).length") == 1
    browser.evaluate(f"{rows}[0].focus()")
    press("ArrowDown")
    press("ArrowDown")
    second = browser.evaluate(f"{rows}[2].dataset.link")
    assert browser.evaluate(here) == second
    browser.evaluate("show()")
    assert browser.evaluate(here) == second
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Enter")
    browser.until(f"document.querySelector('#chart svg').ariaLabel.endsWith({second!r})")
    assert browser.evaluate(f"{rows}.find((row) => row.ariaCurrent).dataset.link") == second
    # Instants have their day and their time zone.
    texts = browser.evaluate(
        "[...document.querySelectorAll('#chart text')].map((e) => e.innerHTML)"
    )
    assert "UTC" in texts
    assert any(text.startswith("2026-01-0") for text in texts)


def test_a_what_if_is_asked_on_the_page(tmp_path: Path, pictures: Path, browser: Browser) -> None:
    with Served(opened(tmp_path / "state", POLICIES)) as served:
        close(served, 3)
        browser.open(served.url, 1300, 1400)
        browser.until(SHOWN)
        browser.evaluate(
            "byId('kind').value = 'link_failure'; byId('kind').dispatchEvent(new Event('change'));"
            "byId('targets').value = 'link-9'; byId('ask').click()"
        )
        browser.until("document.querySelectorAll('.answer-error').length === 1")
        said = browser.evaluate("document.querySelector('.answer-error').textContent")
        assert said.startswith("events.0.links: the trace has no link 'link-9'")
        browser.evaluate("byId('targets').value = 'link-0'; byId('ask').click()")
        browser.until("document.querySelectorAll('#answer table').length >= 2")
        assert "rolling_max" in browser.evaluate("byId('answer').textContent")
        assert browser.evaluate(CUT) == []
        browser.picture(pictures / "what-if.png")
        # A policy that the twin does not run, and an event that comes too late.
        browser.evaluate(
            "byId('asked-policies').value = 'static_mean2sigma,'; byId('start').value = '7h';"
            "byId('ask').click()"
        )
        browser.until("document.querySelectorAll('#answer > .note').length === 1")
        answer = browser.evaluate("byId('answer').textContent")
        assert "static_mean2sigma" in answer
        assert "rolling_max" not in answer
        assert "events.0: begins after the time that is asked for ends, by 1h" in answer
    errors = [line for line in browser.console if "ERR_" not in line]
    # What was refused, and nothing else.
    assert [line.split(" http")[0] for line in errors] == [
        "Failed to load resource: the server responded with a status of 400 (Bad Request)"
    ]


def test_with_tokens_the_page_asks_for_one(tmp_path: Path, browser: Browser) -> None:
    with Served(opened(tmp_path / "state", POLICIES), tokens()) as served:
        browser.open(served.url)
        browser.until("!byId('token-form').hidden")
        assert "link-0" not in browser.evaluate("document.body.textContent")
        browser.evaluate(f"byId('token').value = '{READ}'; byId('token-form').requestSubmit()")
        browser.until("page.state !== null && byId('token-form').hidden")
        browser.until("document.getElementById('status').textContent === 'live'")
        # It is in no address and in no cookie.
        assert browser.evaluate("document.cookie + location.href") == served.url


def test_no_name_becomes_markup(tmp_path: Path, browser: Browser) -> None:
    past = head(trace(), HISTORY)
    evil = "<img src=x onerror=alert(1)>"
    import dataclasses

    renamed = dataclasses.replace(past, links=(evil, "b</script>", "c&amp;"))
    with Served(LivingTwin.open(scenario(POLICIES, renamed), tmp_path / "state")) as served:
        browser.open(served.url)
        browser.until(
            "page.state !== null && document.querySelectorAll('#link-rows tr').length === 3"
        )
        assert browser.evaluate("document.querySelectorAll('img, #link-rows script').length") == 0
        names = browser.evaluate(
            "[...document.querySelectorAll('#link-rows th')].map((e) => e.textContent)"
        )
        assert set(names) == {evil, "b</script>", "c&amp;"}
    assert [line for line in browser.console if "ERR_" not in line] == []
