// What all parts of the page use: elements, numbers, requests.
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const DASH = "\u2013";

// An element with attributes and children; text is never read as markup.
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "line", "text", "g"].includes(name);
  const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function fill(parent, ...children) {
  parent.replaceChildren(...children);
}

// A name that may be broken after what separates its parts.
function breakable(name) {
  const parts = name.split(/(?<=[>._/-])/);
  const whole = document.createDocumentFragment();
  parts.forEach((part, i) => whole.append(...(i ? [document.createElement("wbr"), part] : [part])));
  return whole;
}

// A number with so many significant digits.
function amount(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  const rounded = Number(Number(value).toPrecision(digits));
  return rounded.toLocaleString("en", { maximumSignificantDigits: Math.max(digits, 1) });
}

const percent = (share, digits = 3) => (share === null || share === undefined || !Number.isFinite(share)
  ? DASH : share > 0 && share < 0.0005 ? "< 0.1 %" : `${amount(100 * share, digits)} %`);

const two = (value) => String(value).padStart(2, "0");

// The time of an instant in UTC, with its day where that is not today's.
function clockTime(seconds, withDay = false) {
  const date = new Date(1000 * seconds);
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  return withDay ? `${date.toISOString().slice(0, 10)} ${time}` : time;
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${amount(seconds / 3600, 2)} h` : `${amount(seconds / 86400, 2)} d`;
}

class Refusal extends Error {
  constructor(status, said) {
    super([said.where && `${said.where}:`, said.error, said.suggestion && `(${said.suggestion})`]
      .filter(Boolean).join(" "));
    this.status = status;
    this.said = said;
  }
}

const token = {
  get() { return sessionStorage.getItem("twin-token"); },
  set(value) { sessionStorage.setItem("twin-token", value); },
  headers() { return this.get() ? { Authorization: `Bearer ${this.get()}` } : {}; },
};

// Asks the twin; an answer other than 2xx is a Refusal.
async function ask(path, body = null, signal = null) {
  const options = { headers: token.headers(), signal, cache: "no-store" };
  if (body !== null) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = typeof body === "string" ? body : JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  if (answer.ok) return answer.json();
  let said = { error: `the twin answered ${answer.status}` };
  try { said = await answer.json(); } catch { /* a proxy may answer in other words */ }
  throw new Refusal(answer.status, said);
}

// Listens to the twin's events. EventSource can send no token, so the stream is read here.
async function listen(onEvent, onState) {
  let wait = 1000;
  for (;;) {
    try {
      const answer = await fetch("events", { headers: token.headers(), cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) { onState("refused"); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      onState("open");
      wait = 1000;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        blocks.forEach((block) => tellOf(block, onEvent));
      }
    } catch { /* it is down, or the line is: said below */ }
    onState("lost");
    await new Promise((resolve) => { setTimeout(resolve, wait); });
    wait = Math.min(2 * wait, 15000);
  }
}

function tellOf(block, onEvent) {
  const fields = Object.fromEntries(block.split("\n").filter((line) => line.includes(": "))
    .map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
  if (fields.event && fields.data) onEvent(fields.event, JSON.parse(fields.data));
}
