// Puts the parts together: asks once, listens, and asks again after each interval.
const page = { state: null, risks: new Map(), chosen: null, seen: false, line: "connecting" };
const chart = new Chart(byId("chart"), byId("readout"), byId("legend"));
const map = new NetworkMap(choose);
const whatIf = new WhatIf();
const SCORES_MS = 60000;

function choose(link) {
  page.chosen = link;
  byId("link").value = link;
  show();
  showSeries();
  if (matchMedia("(max-width: 60rem)").matches) byId("series").scrollIntoView({ behavior: "smooth" });
}

function show() {
  const { state, risks } = page;
  if (!state) return;
  showFacts(state, risks);
  showLinks(state, risks, byId("filter").value, page.chosen, choose);
  map.show(state, page.chosen);
  showComing(state);
  showLog(logOf(state));
  showStatus();
}

function collected(state) {
  const share = Math.floor(100 * state.collecting.samples / state.collecting.needed);
  return `collecting history, ${share} %`;
}

function showStatus() {
  const { state, line } = page;
  const late = state && lagOf(state) > 2.5 * state.tick_s;
  const [kind, text] = line === "refused" ? ["trouble", "needs a token"]
    : line === "lost" ? ["trouble", "no connection"]
      : !state ? ["", "connecting"]
        : state.trouble ? ["trouble", "in trouble"]
          : !state.ready ? ["waiting", "does not decide"]
            : state.collecting ? ["waiting", collected(state)]
            : late ? ["waiting", "no telemetry comes"] : ["live", "live"];
  byId("status").className = `status ${kind}`;
  byId("status").textContent = text;
}

let asking = null;
// Whoever asks while an answer is under way waits for the next one, and all of them for the same.
function refresh() {
  if (!asking) {
    asking = load().catch(fail).finally(() => { asking = null; });
  }
  return asking;
}

async function load() {
  const first = !page.seen;
  const state = await ask(first ? "state?map=1" : "state");
  page.state = state;
  page.risks = new Map(Object.entries((state.outlook && state.outlook.chances) || {}));
  byId("token-form").hidden = true;
  if (first) begin(state);
  show();
  await showSeries();
}

function begin(state) {
  page.seen = true;
  if (state.map) map.draw(state.map);
  else document.querySelector("main").className = "unmapped";
  fill(byId("link"), ...state.links.map((link) => make("option", { value: link.link }, link.link)));
  whatIf.names(state);
  const worst = byRisk(state.links, page.risks)[0];
  if (worst && !page.chosen) page.chosen = worst.link;
  if (page.chosen) byId("link").value = page.chosen;
  showScores();
}

function fail(error) {
  if (error instanceof Refusal && (error.status === 401 || error.status === 403)) {
    page.line = "refused";
    byId("token-form").hidden = false;
  } else if (!(error instanceof Refusal)) {
    page.line = "lost";
  }
  byId("why").textContent = error.message;
  byId("why").hidden = false;
  showStatus();
}

async function showSeries() {
  if (!page.chosen || !page.state || !page.state.ready) return;
  const query = new URLSearchParams({ link: page.chosen, for: byId("ahead").value, back: byId("back").value, wait: "0" });
  try {
    const data = await ask(`forecast?${query}`);
    if (data.link === page.chosen) chart.show(data, page.state.looks, page.state.acting);
  } catch (error) {
    byId("readout").textContent = error.message;
  }
}

async function showScores() {
  // Before an interval has closed there is nothing to score.
  if (!page.state || !page.state.ready || !page.state.samples.closed) return;
  try {
    showScoreboard(await ask("scoreboard"));
  } catch (error) {
    byId("verdict").textContent = error.message;
  }
}

byId("filter").addEventListener("input", show);
byId("scored-span").addEventListener("change", () => showScoreboard(null));
byId("against").addEventListener("change", show);
byId("link").addEventListener("change", () => choose(byId("link").value));
["back", "ahead"].forEach((id) => byId(id).addEventListener("change", showSeries));
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set(byId("token").value);
  byId("token").value = "";
  start();
});

function start() {
  refresh();
  listen((kind) => { if (kind === "interval" || kind === "outlook") refresh(); }, (line) => {
    const back = line === "open" && page.line === "lost";
    page.line = line;
    showStatus();
    if (line === "refused") byId("token-form").hidden = false;
    if (back) refresh();
  });
}

setInterval(showScores, SCORES_MS);
// Where no interval closes, the state is still to be seen: its clock goes on.
setInterval(refresh, 15000);
start();
