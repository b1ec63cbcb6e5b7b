"use strict";
(() => {
  // The map: each link holds its numbers, this shows those that are asked for.
  const figure = document.querySelector("figure.network");
  if (!figure) return;
  const all = (selector, within = figure) => [...within.querySelectorAll(selector)];
  const one = (name) => figure.querySelector(`[data-map=${name}]`);
  const links = all("g.link[data-name]");
  const limits = figure.dataset.levels.split(" ").map(Number);
  const labels = (figure.dataset.labels || "").split("|");
  const [against, view, slider, failure, choose, go] =
    ["against", "view", "instant", "failure", "link", "series"].map(one);
  const said = figure.querySelector(".readout");
  const series = document.getElementById("link");
  let chosen = null;

  const numbers = new Map();
  const at = (link, key, i) => {
    // A row of numbers; one that never changes is written once, what is missing is empty.
    const text = link.dataset[key];
    if (text === undefined) return NaN;
    const id = `${links.indexOf(link)} ${key}`;
    if (!numbers.has(id)) numbers.set(id, text.split(" ").map((v) => (v === "" ? NaN : Number(v))));
    const row = numbers.get(id);
    return row.length === 1 ? row[0] : row[i];
  };
  const level = (ratio) => limits.filter((limit) => ratio > limit).length;
  const percent = (ratio) => (ratio === Infinity ? "∞" : `${(100 * ratio).toPrecision(3) * 1} %`);
  const mbps = (value) => (value === Infinity ? "unlimited"
    : value.toLocaleString("en", { maximumSignificantDigits: 4 }));
  const over = (demand, limit) => (demand > 0 ? demand / limit : 0);
  const policy = () => against.selectedOptions[0].dataset.by;
  const worst = () => !slider || view.value === "worst";
  const measure = (link) => {
    const p = against.value;
    if (worst()) return at(link, `w${p}`, 0);
    const i = Number(slider.value);
    return over(at(link, "d", i), at(link, p === "c" ? "c" : `a${p}`, i));
  };
  const isDown = (link) => {
    const number = String(links.indexOf(link));
    if (failure && failure.value) return failure.selectedOptions[0].dataset.down.split(" ").includes(number);
    return !worst() && (link.dataset.x || "").split(" ").includes(slider.value);
  };
  const describe = (link) => {
    const name = link.dataset.name;
    if (worst()) return `${name}: ${link.dataset[`s${against.value}`] || "no numbers"}`;
    const i = Number(slider.value);
    const [demand, limit] = [at(link, "d", i), at(link, "c", i)];
    if (Number.isNaN(demand)) return `${name} at ${labels[i]}: demand not known`;
    const parts = [`${name} at ${labels[i]}: demand ${mbps(demand)} Mbit/s`];
    if (against.value !== "c") {
      const allocated = at(link, `a${against.value}`, i);
      parts.push(`allocated ${mbps(allocated)} by ${policy()}, ${percent(over(demand, allocated))} used`);
    }
    if (isDown(link)) parts.push("down");
    else parts.push(`capacity ${mbps(limit)}${limit < Infinity ? `, ${percent(over(demand, limit))} used` : ""}`);
    return parts.join("; ");
  };
  const summary = () => {
    if (failure && failure.value) return failure.selectedOptions[0].dataset[`s${against.value}`] || "";
    const known = links.filter((link) => !Number.isNaN(measure(link)));
    const short = known.filter((link) => measure(link) > 1 && !isDown(link));
    const what = against.value === "c" ? "their capacity" : `what ${policy()} allocated`;
    const when = worst() ? "at worst, each at its own time" : `at ${labels[slider.value]}`;
    return `${short.length} of ${known.length} links above ${what} ${when}.`
      + (chosen ? "" : " Point at a link, or choose one, for its numbers.");
  };
  const draw = () => {
    const cause = failure && failure.value;
    for (const link of links) {
      const ratio = measure(link);
      const parts = ["link", Number.isNaN(ratio) ? "unknown" : `u${level(ratio)}`];
      if (isDown(link)) parts.push("down");
      if (cause && !isDown(link) && link.dataset[`f${against.value}`] !== cause) parts.push("dim");
      if (link === chosen) parts.push("chosen");
      link.setAttribute("class", parts.join(" "));
    }
    if (slider) {
      slider.disabled = worst();
      slider.setAttribute("aria-valuetext", labels[slider.value]);
      one("label").textContent = labels[slider.value];
    }
    tell(chosen);
  };
  const tell = (link) => {
    said.textContent = link ? describe(link) : summary();
  };
  const pick = (link) => {
    chosen = link;
    choose.value = link ? String(links.indexOf(link)) : "";
    const drawn = series && link && seriesOf(link);
    if (go) go.disabled = !drawn;
    draw();
  };
  const seriesOf = (link) => [...series.options].find((o) => o.textContent === link.dataset.name);
  const toSeries = (link) => {
    const option = series && seriesOf(link);
    if (!option) return;
    series.value = option.value;
    series.dispatchEvent(new Event("change"));
    document.getElementById("series").scrollIntoView();
  };

  for (const link of links) {
    link.addEventListener("pointerenter", () => tell(link));
    link.addEventListener("pointerleave", () => tell(chosen));
    link.addEventListener("click", () => { pick(link); toSeries(link); });
  }
  for (const part of [against, view, failure]) part?.addEventListener("change", draw);
  slider?.addEventListener("input", draw);
  choose.addEventListener("change", () => pick(links[choose.value] || null));
  go?.addEventListener("click", () => { if (chosen) toSeries(chosen); });
  draw();
})();
