"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  for (const part of all(".controls, .strip input")) part.hidden = false;

  addEventListener("beforeprint", () => { for (const part of all("details")) part.open = true; });

  // Tables that are sorted by a click on a header.
  for (const table of all("table.sortable")) {
    const headers = all("thead th", table);
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const up = header.getAttribute("aria-sort") !== "ascending";
        for (const other of headers) other.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => {
          const cell = row.cells[column];
          if (column === 0) return cell.textContent.trim();
          return cell.dataset.value === undefined ? NaN : Number(cell.dataset.value);
        };
        const order = (a, b) => {
          const [x, y] = [value(a), value(b)];
          if (column === 0) return x < y ? -1 : x > y ? 1 : 0;
          // What has no value comes last, whichever the direction.
          if (Number.isNaN(x) || Number.isNaN(y)) {
            return (Number.isNaN(x) - Number.isNaN(y)) * (up ? 1 : -1);
          }
          return x === y ? 0 : x < y ? -1 : 1;
        };
        const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? order(a, b) : order(b, a)));
        table.tBodies[0].append(...rows);
      });
    });
  }

  const heat = document.getElementById("heat-policy");
  heat?.addEventListener("change", () => {
    all(".heat").forEach((part, i) => { part.hidden = i !== Number(heat.value); });
  });

  // Time series: x counts half intervals, y 5000ths of the highest value from the top.
  const HEIGHT = 5000;
  const figures = all("figure.series");
  if (!figures.length) return;
  const wide = Number(figures[0].dataset.wide);
  const tick = Number(figures[0].dataset.tick);
  let [from, to] = [0, wide];
  const current = () => figures.find((figure) => !figure.hidden);

  const lowest = (path, from, to) => {
    // The least y, which is the highest value, of a path between two x.
    let [x, y, least] = [0, 0, HEIGHT];
    for (const [, step, a, b] of path.getAttribute("d").matchAll(/([Mmhv])(-?\d+)(?: (-?\d+))?/g)) {
      const before = x;
      if (step === "M") [x, y] = [Number(a), Number(b)];
      else if (step === "m") { x += Number(a); y += Number(b); }
      else if (step === "h") x += Number(a);
      else y += Number(a);
      if (step !== "M" && step !== "m" && x >= from && before <= to) least = Math.min(least, y);
      if (before > to) break;
    }
    return least;
  };
  const mark = (box, value, style) => {
    const span = document.createElement("span");
    span.textContent = value;
    Object.assign(span.style, style);
    box.append(span);
  };
  const span = (seconds) => {
    const parts = [];
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
      if (seconds >= size) parts.push(`${Math.floor(seconds / size)}${unit}`);
      seconds %= size;
    }
    return parts.join(" ") || "0s";
  };
  // What clocks show: pairs of seconds of the replay and by how much clocks are ahead from then on.
  const clocks = JSON.parse(figures[0].dataset.clock || "null");
  const shown = (seconds) => {
    const [, ahead] = clocks.filter(([from]) => from <= seconds).at(-1) || clocks[0];
    return seconds + ahead;
  };
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const date = (seconds, grid) => {
    const moment = new Date(1000 * shown(seconds));
    const two = (number) => String(number).padStart(2, "0");
    if (grid >= 86400 || shown(seconds) % 86400 === 0) {
      return `${two(moment.getUTCDate())} ${MONTHS[moment.getUTCMonth()]}`;
    }
    return `${two(moment.getUTCHours())}:${two(moment.getUTCMinutes())}`;
  };
  const STEPS = [60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200];

  const draw = () => {
    const figure = current();
    const top = Number(figure.dataset.top);
    const lines = all(".plot path:not(.band):not(.capacity)", figure)
      .filter((path) => path.style.display !== "none");
    const clip = all(".demand", figure).map((path) => HEIGHT - lowest(path, from, to))[0];
    let high = Math.max(...lines.map((path) => HEIGHT - lowest(path, from, to)));
    high = Math.min(1.06 * high, clip > 0 ? 3.2 * clip : Infinity) || HEIGHT;
    figure.querySelector(".plot")
      .setAttribute("viewBox", `${from} ${HEIGHT - high} ${to - from} ${high}`);
    for (const lane of all(".lane", figure)) lane.setAttribute("viewBox", `${from} 0 ${to - from} 100`);
    const peak = (top * high) / HEIGHT;
    const ys = figure.querySelector(".ys");
    ys.replaceChildren();
    let step = 10 ** Math.floor(Math.log10(peak / 2));
    step *= [1, 2, 5, 10].find((factor) => peak / (step * factor) <= 5);
    for (let value = step; value < peak * 0.999; value += step) {
      mark(ys, Number(value.toPrecision(6)).toLocaleString("en"), { top: `${100 * (1 - value / peak)}%` });
    }
    const xs = figure.querySelector(".xs");
    xs.replaceChildren();
    const [begin, end] = [(from * tick) / 2, (to * tick) / 2];
    const grid = STEPS.find((size) => (end - begin) / size <= 6)
      || Math.ceil((end - begin) / 6 / 86400) * 86400;
    // Clocks that are set back or forward are so by whole quarters of an hour.
    const each = clocks ? Math.min(grid, 900) : grid;
    const off = clocks ? clocks[0][1] % each : 0;
    for (let at = Math.ceil((begin + off) / each) * each - off; at < end; at += each) {
      if (clocks && shown(at) % grid) continue;
      const label = clocks ? date(at, grid) : span(at);
      mark(xs, label, { left: `${(100 * (at - begin)) / (end - begin)}%` });
    }
  };
  const view = (low, high) => {
    const least = Math.min(8, wide);
    const size = Math.min(wide, Math.max(least, high - low));
    from = Math.max(0, Math.min(wide - size, (low + high - size) / 2));
    to = from + size;
    draw();
  };
  const choose = document.getElementById("link");
  const show = (link) => {
    choose.value = String(link);
    figures.forEach((figure, i) => { figure.hidden = i !== Number(link); });
    draw();
  };
  choose.addEventListener("change", () => show(choose.value));
  const moves = {
    in: (size) => view(from + size / 4, to - size / 4),
    out: (size) => view(from - size / 2, to + size / 2),
    left: (size) => view(from - size / 2, to - size / 2),
    right: (size) => view(from + size / 2, to + size / 2),
    all: () => view(0, wide),
  };
  for (const button of all("[data-zoom]")) {
    button.addEventListener("click", () => moves[button.dataset.zoom](to - from));
  }
  for (const button of all("[data-extent]")) {
    button.addEventListener("click", () => {
      if (!button.dataset.links.split(" ").includes(choose.value)) show(button.dataset.link);
      view(...button.dataset.extent.split(" ").map(Number));
    });
  }
  for (const box of all("[data-policy]")) {
    box.addEventListener("change", () => {
      const policy = box.dataset.policy;
      for (const other of all(`[data-policy="${policy}"]`)) other.checked = box.checked;
      for (const path of all(`.plot .p${policy}`)) path.style.display = box.checked ? "" : "none";
      draw();
    });
  }
  for (const plot of all(".plot")) {
    let start = null;
    let brush = null;
    const x = (event) => {
      const box = plot.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      return from + share * (to - from);
    };
    plot.addEventListener("pointerdown", (event) => {
      start = x(event);
      plot.setPointerCapture(event.pointerId);
      brush = document.createElementNS(plot.namespaceURI, "rect");
      brush.setAttribute("class", "select");
      brush.setAttribute("y", -HEIGHT);
      brush.setAttribute("height", 3 * HEIGHT);
      plot.append(brush);
    });
    plot.addEventListener("pointermove", (event) => {
      if (!brush) return;
      brush.setAttribute("x", Math.min(start, x(event)));
      brush.setAttribute("width", Math.abs(x(event) - start));
    });
    const leave = (event) => {
      if (!brush) return;
      brush.remove();
      brush = null;
      const stop = x(event);
      if (event.type === "pointerup" && Math.abs(stop - start) > (to - from) / 100) {
        view(Math.min(start, stop), Math.max(start, stop));
      }
    };
    plot.addEventListener("pointerup", leave);
    plot.addEventListener("pointercancel", leave);
    plot.addEventListener("dblclick", () => view(0, wide));
    plot.addEventListener("wheel", (event) => {
      // Without a modifier the wheel scrolls the page.
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      const factor = (event.deltaY || event.deltaX) > 0 ? 1.25 : 0.8;
      const at = x(event);
      view(at - (at - from) * factor, at + (to - at) * factor);
    }, { passive: false });
  }
  draw();
})();
