// One link over time: what was, what was allocated, and what the forecast makes of the next hours.
const LEFT = 52, RIGHT = 10, TOP = 8, BOTTOM = 38;
const STEPS = [60, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

const dayOf = (seconds) => new Date(1000 * seconds).toISOString().slice(0, 10);

class Chart {
  constructor(box, readout, legend) {
    Object.assign(this, { box, readout, legend, data: null, looks: {} });
    new ResizeObserver(() => this.draw()).observe(box);
  }

  // `data` is what /forecast answers; `looks` are the colours of policies.
  show(data, looks, acting) {
    const time = data.times.map((each) => Date.parse(each) / 1000);
    Object.assign(this, { data: { ...data, time }, looks, acting });
    this.draw();
  }

  draw() {
    const { data, box } = this;
    if (!data || !box.clientWidth) return;
    this.wide = box.clientWidth;
    this.svg = make("svg", { role: "img", "aria-label": `Demand, allocation and forecast of ${data.link}` });
    fill(box, this.svg);
    this.high = this.svg.clientHeight || 300;
    this.svg.setAttribute("viewBox", `0 0 ${this.wide} ${this.high}`);
    this.scale();
    if (this.to > this.from) {
      this.axes();
      this.lines();
      this.pointing();
    }
    this.keys();
  }

  scale() {
    const { past, time, tick_s: tick } = this.data;
    const times = [...past.time_s, ...time];
    this.from = Math.min(...times);
    this.to = Math.max(...times) + tick;
    const outer = this.bands()[0];
    const heights = [past.demand_mbps, past.allocated_mbps[this.acting] || [], this.data.median_mbps,
      outer ? outer[1] : []].flat().filter((value) => value !== null);
    this.top = Math.max(1e-9, ...heights) * 1.06;
    this.x = (at) => LEFT + (at - this.from) / (this.to - this.from) * (this.wide - LEFT - RIGHT);
    this.y = (mbps) => this.high - BOTTOM - mbps / this.top * (this.high - TOP - BOTTOM);
  }

  // Pairs of quantiles around the median, the widest first.
  bands() {
    const { levels, quantiles_mbps: rows } = this.data;
    const at = (i) => rows.map((row) => row[i]), last = levels.length - 1;
    return levels.slice(0, Math.floor(levels.length / 2))
      .map((level, i) => [at(i), at(last - i), level, levels[last - i]]);
  }

  axes() {
    const step = STEPS.find((each) => (this.to - this.from) / each <= this.wide / 90) || STEPS.at(-1);
    let named = { day: null, middle: -Infinity };
    for (let at = Math.ceil(this.from / step) * step; at < this.to; at += step) {
      const [day, time] = [dayOf(at), clockTime(at)];
      this.svg.append(make("line", { class: "grid", x1: this.x(at), x2: this.x(at), y1: TOP, y2: this.high - BOTTOM }),
        make("text", { x: this.x(at), y: this.high - BOTTOM + 15, "text-anchor": "middle" }, time));
      // A day is named where it begins, and at the left end; names do not run into each other.
      const middle = Math.min(Math.max(this.x(at), LEFT + 34), this.wide - RIGHT - 34);
      if (day === named.day || middle < named.middle + 76) continue;
      named = { day, middle };
      this.svg.append(make("text", { x: middle, y: this.high - BOTTOM + 31, "text-anchor": "middle" }, day));
    }
    this.svg.append(make("text", { x: LEFT - 6, y: this.high - BOTTOM + 15, "text-anchor": "end" }, "UTC"));
    const rough = this.top / 5, ten = 10 ** Math.floor(Math.log10(rough));
    const tall = [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= rough);
    for (let mbps = 0; mbps < this.top; mbps += tall) {
      this.svg.append(make("line", { class: "grid", x1: LEFT, x2: this.wide - RIGHT, y1: this.y(mbps), y2: this.y(mbps) }),
        make("text", { x: LEFT - 6, y: this.y(mbps) + 4, "text-anchor": "end" }, amount(mbps)));
    }
    this.svg.append(make("text", { x: LEFT + 4, y: TOP + 10 }, "Mbit/s"));
  }

  lines() {
    const { past, time, tick_s: tick, median_mbps: median } = this.data;
    for (const [low, high] of this.bands()) {
      const there = time.map((at, i) => [this.x(at + tick / 2), low[i], high[i]]).filter((each) => each[1] !== null);
      const up = there.map(([x, , top]) => `${x.toFixed(1)} ${this.y(top).toFixed(1)}`);
      const down = there.map(([x, bottom]) => `${x.toFixed(1)} ${this.y(bottom).toFixed(1)}`).reverse();
      if (up.length) this.svg.append(make("path", { class: "fan", d: `M${[...up, ...down].join("L")}z` }));
    }
    const short = past.time_s.map((at, i) => {
      const granted = (past.allocated_mbps[this.acting] || [])[i];
      // Before the live began nothing was granted: null, which is less than any number.
      if (granted === null || granted === undefined || !(past.demand_mbps[i] > granted)) return "";
      const [x1, x2] = [this.x(at), this.x(at + tick)].map((x) => x.toFixed(1));
      return `M${x1} ${this.y(granted).toFixed(1)}H${x2}V${this.y(past.demand_mbps[i]).toFixed(1)}H${x1}z`;
    }).join("");
    if (short) this.svg.append(make("path", { class: "short", d: short }));
    for (const [policy, row] of Object.entries(past.allocated_mbps)) {
      if (policy !== this.acting && !this.shadows) continue;
      const look = this.looks[policy] || {};
      this.svg.append(make("path", { d: this.steps(past.time_s, row, tick), stroke: look.colour, "stroke-dasharray": look.dashes || null }));
    }
    this.svg.append(make("path", { class: "demand", d: this.steps(past.time_s, past.demand_mbps, tick) }),
      make("path", { class: "median", d: this.points(time, median, tick) }));
    const now = past.time_s.length ? past.time_s.at(-1) + tick : time[0];
    this.svg.append(make("line", { class: "now", x1: this.x(now), x2: this.x(now), y1: TOP, y2: this.high - BOTTOM }));
  }

  steps(times, row, tick) {
    let pen = "M";
    return times.map((at, i) => {
      if (row[i] === null || row[i] === undefined) { pen = "M"; return ""; }
      const piece = `${pen}${this.x(at).toFixed(1)} ${this.y(row[i]).toFixed(1)}H${this.x(at + tick).toFixed(1)}`;
      pen = "L";
      return piece;
    }).join("");
  }

  points(times, row, tick) {
    let pen = "M";
    return times.map((at, i) => {
      if (row[i] === null || row[i] === undefined) { pen = "M"; return ""; }
      const piece = `${pen}${this.x(at + tick / 2).toFixed(1)} ${this.y(row[i]).toFixed(1)}`;
      pen = "L";
      return piece;
    }).join("");
  }

  pointing() {
    const line = make("line", { class: "cross", y1: TOP, y2: this.high - BOTTOM, visibility: "hidden" });
    this.svg.append(line);
    this.svg.addEventListener("pointermove", (event) => {
      const share = (event.offsetX - LEFT) / (this.wide - LEFT - RIGHT);
      const at = this.from + share * (this.to - this.from);
      if (share < 0 || share > 1) return;
      line.setAttribute("x1", event.offsetX);
      line.setAttribute("x2", event.offsetX);
      line.setAttribute("visibility", "visible");
      this.readout.textContent = this.said(at);
    });
    this.svg.addEventListener("pointerleave", () => line.setAttribute("visibility", "hidden"));
  }

  said(at) {
    const { past, time, tick_s: tick, median_mbps: median } = this.data;
    const i = past.time_s.findLastIndex((start) => start <= at);
    if (i >= 0 && at < past.time_s[i] + tick) {
      const granted = Object.entries(past.allocated_mbps).map(([policy, row]) => `${policy} ${amount(row[i], 4)}`);
      return `${clockTime(past.time_s[i], true)}: demand ${amount(past.demand_mbps[i], 4)}, allocated ${granted.join(", ")} Mbit/s`;
    }
    const k = time.findLastIndex((start) => start <= at);
    if (k < 0) return "\u00a0";
    const outer = this.bands()[0];
    const between = outer ? `, ${amount(outer[0][k], 4)} to ${amount(outer[1][k], 4)} with ${percent(outer[3] - outer[2], 2)}` : "";
    return `${clockTime(time[k], true)}: forecast ${amount(median[k], 4)}${between} Mbit/s`;
  }

  keys() {
    const key = (draw, name) => make("li", {}, make("svg", { class: "swatch", viewBox: "0 0 22 10", "aria-hidden": "true" }, make("path", { d: "M0 5H22", ...draw })), name);
    const outer = this.bands()[0];
    const policies = Object.keys(this.data.past.allocated_mbps).filter((name) => this.shadows || name === this.acting);
    fill(this.legend, key({ class: "demand" }, "demand"),
      ...policies.map((name) => key({ stroke: this.looks[name]?.colour, "stroke-dasharray": this.looks[name]?.dashes || null }, `allocated by ${name}`)),
      key({ class: "median" }, "forecast"),
      ...(outer ? [key({ class: "fan" }, `${percent(outer[3] - outer[2], 2)} of forecast`)] : []));
    const box = make("input", { type: "checkbox", id: "shadows" });
    box.checked = Boolean(this.shadows);
    box.addEventListener("change", () => { this.shadows = box.checked; this.draw(); });
    if (Object.keys(this.data.past.allocated_mbps).length > 1) this.legend.append(make("li", {}, make("label", {}, box, " policies in shadow")));
  }
}
