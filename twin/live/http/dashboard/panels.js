// The parts that show the state: numbers at the top, links by risk, the map, scores, events.
const LEVELS = [0.25, 0.5, 0.75, 0.95, 1, 1.5];
const LEVEL_NAMES = ["up to 25 %", "to 50 %", "to 75 %", "to 95 %", "to 100 %", "over 100 %: short", "over 150 %"];
const MOST_ROWS = 100;

const ratio = (demand, limit) => {
  if (demand === null || demand === undefined) return null;
  if (limit === null || limit === undefined) return 0;
  return limit > 0 ? demand / limit : (demand > 0 ? Infinity : 0);
};
const used = (link) => ratio(link.demand_mbps, link.allocated_mbps);
const isShort = (link) => used(link) > 1 || (link.down && link.demand_mbps > 0);

// How links are ordered: by the chance to fall short, then by what is used of the allocation.
function byRisk(links, risks) {
  const key = (link) => [risks.get(link.link) ?? -1, used(link) ?? -1];
  return links.map((link) => [key(link), link]).sort(([a], [b]) => b[0] - a[0] || b[1] - a[1]).map(([, link]) => link);
}

function bar(share) {
  const inner = Math.min(Math.max(share ?? 0, 0), 1);
  return make("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    make("rect", { class: "ground", width: 100, height: 10 }),
    make("rect", { class: share > 1 ? "over" : null, width: 100 * inner, height: 10 }));
}

// What the past of links does not explain, in words: since when, which way, how far.
function driftText(each) {
  const since = `since ${clockTime(each.since_s, true)} UTC`;
  if (!each.direction) return `${each.link}: ${each.open ? "nothing comes" : "comes again; nothing came"} ${since}`;
  const way = each.direction > 0 ? "above" : "below";
  return `${each.link}: ${each.kind} ${since}, ${amount(Math.abs(each.size_mbps))} Mbit/s ${way} what its past says`;
}

function driftBadge(found) {
  return found ? make("small", { class: found.open ? "warn drift" : "drift", title: driftText(found) }, ` ${found.kind}`) : null;
}

function showDrift(state) {
  const shown = state.drift.slice(0, 3).map(driftText), more = state.drift.length - shown.length + state.drift_watch.more;
  const waits = state.drift_watch.refit_waits;
  const refit = waits ? [`policies do not learn again yet, ${waits}`] : [];
  byId("drift").textContent = [...shown, ...(more ? [`and ${more} more`] : []), ...refit].join("; ");
  byId("drift").hidden = !byId("drift").textContent;
}

function showLinks(state, risks, search, chosen, choose) {
  const word = search.trim().toLowerCase();
  const found = byRisk(state.links, risks).filter((link) => link.link.toLowerCase().includes(word));
  const drifts = new Map(state.drift.map((each) => [each.link, each]).reverse());
  showDrift(state);
  // One row is reached by Tab, the others by arrows; whoever is on one stays there when rows are made anew.
  const focused = document.activeElement?.closest("#link-rows tr")?.dataset.link;
  const shown = found.slice(0, MOST_ROWS).map((link) => link.link);
  const entry = [focused, chosen].find((name) => shown.includes(name)) ?? shown[0];
  const rows = found.slice(0, MOST_ROWS).map((link) => {
    const risk = risks.get(link.link);
    const row = make("tr", { tabindex: link.link === entry ? 0 : -1, "data-link": link.link,
      class: link.link === chosen ? "chosen" : null, "aria-current": link.link === chosen ? "true" : null },
      make("th", { scope: "row", class: isShort(link) ? "bad" : null }, breakable(link.link), link.down ? " (down)" : "", driftBadge(drifts.get(link.link)) ?? ""),
      make("td", { class: risk > 0.05 ? (risk > 0.5 ? "bad" : "warn") : null }, risk === undefined ? DASH : percent(risk, 2)),
      make("td", {}, bar(used(link)), make("span", { class: "share" }, percent(used(link)))),
      make("td", {}, amount(link.demand_mbps, 4)),
      make("td", {}, amount(link.allocated_mbps, 4)),
      make("td", {}, link.capacity_mbps === null ? "\u221e" : amount(link.capacity_mbps, 4)));
    row.addEventListener("click", () => choose(link.link));
    row.addEventListener("keydown", (event) => {
      const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
      if (next) next.focus();
      else if (event.key === "Enter" || event.key === " ") choose(link.link);
      else return;
      event.preventDefault();
    });
    return row;
  });
  fill(byId("link-rows"), ...rows);
  if (focused !== undefined) rows.find((row) => row.dataset.link === focused)?.focus({ preventScroll: true });
  const more = found.length > rows.length ? `${rows.length} of ${found.length} shown; ` : "";
  byId("links-note").textContent = `${more}risk: the chance that demand exceeds the allocation at some time in the next hours.`;
}

function showFacts(state, risks) {
  const links = state.links, demand = links.reduce((sum, link) => sum + (link.demand_mbps || 0), 0);
  const granted = links.reduce((sum, link) => sum + (link.allocated_mbps || 0), 0);
  const short = links.filter(isShort).length, risky = [...risks.values()].filter((risk) => risk > 0.05).length;
  const facts = { links: amount(links.length, 6), short: amount(short, 6), risk: risks.size ? amount(risky, 6) : DASH,
    used: percent(ratio(demand, granted)), acting: state.acting, lag: span(lagOf(state)) };
  for (const [key, value] of Object.entries(facts)) byId(`fact-${key}`).textContent = value;
  byId("fact-short").className = short ? "bad" : "";
  byId("fact-risk").className = risky ? "warn" : "";
  byId("name").textContent = state.scenario;
  document.title = `${short ? `${short} short \u00b7 ` : ""}${state.scenario}`;
  const until = state.begins_s + state.interval * state.tick_s;
  byId("clock").textContent = `as of ${clockTime(until, true)} UTC, interval ${state.interval}`;
  const why = state.trouble || (state.ready ? state.notices.join(" ") : `It does not decide: ${state.why_not}`);
  byId("why").textContent = why;
  byId("why").hidden = !why;
}

const lagOf = (state) => Math.max(state.clock_s - (state.begins_s + state.interval * state.tick_s), 0);

class NetworkMap {
  constructor(choose) {
    this.choose = choose;
    this.links = null;
    fill(byId("levels"), ...LEVEL_NAMES.map((name, level) => this.key(`link u${level}`, name)), this.key("link down", "down"));
  }

  key(kind, name) {
    return make("li", {}, make("svg", { class: "key", viewBox: "0 0 26 10", "aria-hidden": "true" },
      make("g", { class: kind }, make("path", { class: "track", d: "M0 5H26" }))), ` ${name}`);
  }

  // Draws what the twin sent: its own SVG, in which all text is escaped.
  draw(markup) {
    const parsed = new DOMParser().parseFromString(markup, "image/svg+xml").documentElement;
    const picture = document.importNode(parsed, true);
    picture.style.setProperty("--unit", picture.dataset.unit);
    fill(byId("map"), picture);
    this.links = new Map([...picture.querySelectorAll("g.link")].map((group) => [group.dataset.name, group]));
    for (const [name, group] of this.links) {
      group.addEventListener("click", () => this.choose(name));
      group.addEventListener("pointerenter", () => { byId("map-readout").textContent = group.querySelector("title").textContent; });
    }
    document.querySelector("main").className = "mapped";
    byId("network").hidden = false;
  }

  show(state, chosen) {
    if (!this.links) return;
    const against = byId("against").value;
    for (const link of state.links) {
      const group = this.links.get(link.link);
      if (!group) continue;
      const share = against === "capacity" ? ratio(link.demand_mbps, link.capacity_mbps) : used(link);
      const level = share === null ? "unknown" : `u${LEVELS.filter((each) => share > each).length}`;
      group.setAttribute("class", `link ${level}${link.down ? " down" : ""}${link.link === chosen ? " chosen" : ""}`);
      group.querySelector("title").textContent = `${link.link}: ${link.down ? "down, " : ""}demand ${amount(link.demand_mbps)}, allocated ${amount(link.allocated_mbps)} Mbit/s, ${percent(share)}`;
    }
  }
}

// A table that scrolls to the side where it is wider than its panel, below what it shows, which does not.
function tableOf(heads, rows, caption) {
  const table = make("table", { "aria-label": caption }, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, i ? cell : breakable(cell)))))));
  return make("div", { class: "told" }, make("p", { class: "note", "aria-hidden": "true" }, caption), make("div", { class: "wide" }, table));
}

function showLog(entries) {
  const items = entries.length ? entries : [{ text: "Nothing so far." }];
  fill(byId("log"), ...items.map((entry) => make("li", {}, make("time", {}, entry.time === undefined ? "" : clockTime(entry.time, true)),
    make("span", { class: entry.bad ? "bad" : null }, entry.text))));
}

// How right outlooks were so far, in words.
function hindsightOf(state) {
  const numbers = Object.values(state.outlooks_in_hindsight);
  const [scored, held] = ["scored", "held"].map((key) => numbers.reduce((sum, each) => sum + each[key], 0));
  return scored ? ` So far ${percent(held / scored, 2)} of such 90 % intervals held what came (${scored} of ${amount(scored / numbers.length, 4)} outlooks).` : "";
}

function showComing(state) {
  const { outlook } = state;
  if (!outlook) {
    byId("coming-lead").textContent = state.collecting ? "There is not enough history yet." : state.ready ? "The twin is working it out." : "Nothing yet.";
    return;
  }
  const { policy } = outlook;
  byId("coming-lead").textContent = `From ${clockTime(Date.parse(outlook.made) / 1000)} UTC on, for ${span(outlook.for_s)}, as things are: with ${policy.policy}, a chance of ${percent(policy.chance_of_violation, 2)} that some link falls short. Expected: `
    + `${between(policy.violated_minutes.asked)} violated minutes over all links, ${between(policy.unmet_mbit.asked)} Mbit unmet.${hindsightOf(state)}`;
  fill(byId("coming-table"), worstOf(policy, 3));
}

function logOf(state) {
  const entries = state.log.map((entry) => {
    const more = entry.more_links ? ` and ${entry.more_links} more` : "";
    const links = entry.links.length ? `: ${entry.links.join(", ")}${more}` : "";
    const name = entry.name && entry.name !== entry.kind ? ` ${entry.name}` : "";
    return { time: entry.time_s, bad: entry.kind === "fallback", text: `${entry.kind.replaceAll("_", " ")}${name} ${entry.phase}${links}${entry.detail ? `; ${entry.detail}` : ""}` };
  });
  const counts = Object.entries(state.samples).filter(([name, count]) => count && !["taken", "closed"].includes(name))
    .map(([name, count]) => ({ text: `${amount(count, 6)} samples ${name.replaceAll("_", " ")} so far` }));
  return [...entries.reverse(), ...counts];
}

let scored = null;
function showScoreboard(board) {
  scored = board || scored;
  if (!scored || !scored.spans.length) return;
  const chosen = byId("scored-span").value;
  const part = scored.spans.find((each) => each.span === chosen);
  const ofCost = part.metric === "cost";
  const heads = ["policy", "violated minutes", "violated", "waste, % of demand", ...(ofCost ? ["cost"] : []),
    `${ofCost ? "cost" : "waste"} against the acting policy`, `${ofCost ? "cost" : "waste"} against hindsight`];
  const rows = part.policies.map((each) => [each.acting ? `${each.policy} (acts)` : each.policy, amount(each.violated_minutes, 4),
    betweenShares(each.violated_share), between(each.waste_pct), ...(ofCost ? [between(each.cost)] : []),
    each.acting ? DASH : between(each.regret_to_acting), between(each.regret_to_hindsight)]);
  const whole = part.complete ? "" : `, of which ${part.intervals} intervals have been seen`;
  byId("verdict").textContent = part.switch ? part.switch.text : "No other policy did better by more than chance.";
  byId("verdict").className = part.switch ? "warn" : "";
  fill(byId("scores"), tableOf(heads, rows, `The last ${part.span}${whole}; in brackets 95 % intervals. Hindsight allocates exactly the demand.`));
}
