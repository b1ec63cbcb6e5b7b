"""The parts of the dashboard, empty: the script fills them."""

from __future__ import annotations

from twin.live.wanted import shipped_policies
from twin.report.html.markup import Html, tag, text


def body() -> tuple[Html, ...]:
    """Return the content of the page."""
    noscript = tag("noscript", tag("p", text("This page needs its script to show the twin.")))
    main = tag(
        "main", _network(), _links(), _series(), _coming(), _what_if(), _scoreboard(), _events()
    )
    return (_header(), noscript, _token(), main)


def _header() -> Html:
    facts = [
        tag("div", tag("dt", text(name)), tag("dd", text("\N{EN DASH}"), id=f"fact-{key}"))
        for key, name in (
            ("links", "links"),
            ("short", "short of demand"),
            ("risk", "at risk"),
            ("used", "of allocation used"),
            ("acting", "acts"),
            ("lag", "behind the clock"),
        )
    ]
    state = tag("span", text("connecting"), id="status", class_="status", role="status")
    title = tag("h1", tag("span", text("twin"), id="name"), state)
    clock = tag("p", text("\N{NO-BREAK SPACE}"), id="clock", class_="clock")
    note = tag("p", id="why", class_="why", hidden=True)
    return tag("header", tag("div", title, clock, note), tag("dl", *facts, class_="facts"))


def _token() -> Html:
    field = tag("input", type="password", id="token", autocomplete="off", required=True)
    label = tag("label", text("Token with the role read "), field)
    button = tag("button", text("Show"), type="submit")
    note = tag("small", text("It is kept until this tab is closed, and sent to this twin alone."))
    return tag("form", label, button, note, id="token-form", hidden=True)


def _panel(key: str, title: str, *inside: Html, hidden: bool = False) -> Html:
    heading = tag("h2", text(title), id=f"{key}-title")
    return tag(
        "section", heading, *inside, id=key, class_="panel", hidden=hidden,
        aria_labelledby=f"{key}-title",
    )  # fmt: skip


def _network() -> Html:
    choices = [
        tag("option", text("demand over allocation"), value="allocated"),
        tag("option", text("demand over capacity"), value="capacity"),
    ]
    choice = tag("select", *choices, id="against", aria_label="What colours show")
    readout = tag("p", id="map-readout", class_="note")
    levels = tag("ul", id="levels", class_="keys levels")
    return _panel("network", "Network", choice, tag("div", id="map"), readout, levels, hidden=True)


def _links() -> Html:
    search = tag("input", type="search", id="filter", placeholder="link", aria_label="Find links")
    names = (
        ("link", ""),
        ("risk", "chance to fall short"),
        ("used", "of allocation"),
        ("demand", "Mbit/s"),
        ("allocated", "Mbit/s"),
        ("capacity", "Mbit/s"),
    )
    heads = [tag("th", text(name), tag("small", text(unit)), scope="col") for name, unit in names]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", id="link-rows"))
    drift = tag("p", id="drift", class_="note", hidden=True)
    note = tag("p", id="links-note", class_="note")
    box = tag("div", table, class_="wide", tabindex="0", role="region", aria_label="Links by risk")
    return _panel("links", "Links by risk", search, box, drift, note)


def _series() -> Html:
    back = [
        tag("option", text(name), value=value, selected=value == "12h")
        for value, name in (("3h", "3 hours"), ("12h", "12 hours"), ("48h", "2 days"))
    ]
    ahead = [
        tag("option", text(name), value=value, selected=value == "2h")
        for value, name in (("2h", "2 hours"), ("6h", "6 hours"), ("24h", "a day"))
    ]
    controls = tag(
        "div",
        tag("select", id="link", aria_label="Link"),
        tag("label", text("back "), tag("select", *back, id="back")),
        tag("label", text("ahead "), tag("select", *ahead, id="ahead")),
        class_="controls",
    )
    chart = tag("div", id="chart", class_="chart")
    readout = tag("p", text("\N{NO-BREAK SPACE}"), id="readout", class_="note")
    return _panel("series", "One link", controls, chart, tag("ul", id="legend", class_="keys"),
                  readout)  # fmt: skip


def _coming() -> Html:
    lead = tag("p", id="coming-lead", class_="note")
    return _panel("coming", "The next hours", lead, tag("div", id="coming-table"))


def _what_if() -> Html:
    kinds = [
        tag("option", text(name), value=kind)
        for kind, name in (
            ("none", "nothing happens"),
            ("link_failure", "links fail"),
            ("surge", "demand surges"),
            ("json", "events, as JSON"),
        )
    ]
    lengths = [
        tag("option", text(value), value=value, selected=value == "6h")
        for value in ("1h", "2h", "6h", "12h", "24h")
    ]
    fields = (
        tag("label", text("What if "), tag("select", *kinds, id="kind")),
        tag("label", text("on "),
            tag("input", id="targets", list="link-names", placeholder="links, with commas, or all",
                autocomplete="off"), data_for="link_failure surge"),
        tag("label", text("in "), tag("input", id="start", value="10min", size=6),
            data_for="link_failure surge"),
        tag("label", text("for "), tag("input", id="duration", value="1h", size=6),
            data_for="link_failure surge"),
        tag("label", text("by a factor of "),
            tag("input", id="factor", value="1.5", size=4, inputmode="decimal"), data_for="surge"),
        tag("label", text("events"), tag("textarea", id="events-json", rows=4, spellcheck="false"),
            data_for="json", class_="whole"),
        tag("label", text("under "),
            tag("input", id="asked-policies", list="policy-names", placeholder="all policies",
                title="names with commas, of this twin or shipped", autocomplete="off")),
        tag("label", text("seen over "), tag("select", *lengths, id="for")),
        tag("label", text("in "),
            tag("input", id="replications", type="number", value=50, min=1, max=500),
            text(" futures")),
        tag("button", text("Ask"), type="submit", id="ask"),
    )  # fmt: skip
    names = (
        tag("datalist", id="link-names"),
        tag(
            "datalist",
            *(tag("option", value=name) for name in shipped_policies()),
            id="policy-names",
        ),
    )
    form = tag("form", *fields, *names, id="what-if-form")
    answer = tag("div", id="answer", aria_live="polite")
    return _panel("what-if", "What if", form, answer)


def _scoreboard() -> Html:
    spans = [
        tag("option", text(f"the last {span}"), value=span) for span in ("day", "week", "month")
    ]
    choice = tag("select", *spans, id="scored-span", aria_label="Over which time")
    verdict = tag("p", id="verdict")
    scores = tag("div", id="scores")
    return _panel("scoreboard", "Scoreboard", choice, verdict, scores)


def _events() -> Html:
    return _panel("events", "Events", tag("ol", id="log", class_="log"))
