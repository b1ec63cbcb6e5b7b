// The form of a what-if, and what is answered.
class WhatIf {
  constructor() {
    this.form = byId("what-if-form");
    byId("kind").addEventListener("change", () => this.fit());
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.ask(); });
    this.fit();
  }

  fit() {
    const kind = byId("kind").value;
    this.form.querySelectorAll("[data-for]").forEach((label) => { label.hidden = !label.dataset.for.split(" ").includes(kind); });
  }

  names(state) {
    fill(byId("link-names"), ...state.links.slice(0, 2000).map((link) => make("option", { value: link.link })));
  }

  question() {
    const kind = byId("kind").value;
    const policies = named(byId("asked-policies").value);
    const question = { for: byId("for").value, replications: Number(byId("replications").value) };
    if (policies.length) question.policies = policies;
    if (kind === "json") question.events = JSON.parse(byId("events-json").value || "[]");
    if (kind === "link_failure" || kind === "surge") {
      const written = named(byId("targets").value);
      const event = { kind, links: written.length === 1 && written[0] === "all" ? "all" : written, start: byId("start").value, duration: byId("duration").value };
      if (kind === "surge") event.factor = Number(byId("factor").value);
      question.events = [event];
    }
    return question;
  }

  show(answer) {
    const { policies, failures } = answer;
    const asks = policies.some((each) => each.violated_minutes.change.mean !== 0 || each.unmet_mbit.change.mean !== 0);
    const heads = ["policy", "violated minutes", "of these, due to the event", "unmet Mbit", "highest use", "chance to fall short"];
    const rows = policies.map((each) => [each.policy, between(each.violated_minutes.asked),
      asks ? between(each.violated_minutes.change) : DASH, between(each.unmet_mbit.asked),
      betweenShares(each.peak_utilization.asked), percent(each.chance_of_violation, 2)]);
    const said = `Means over ${answer.replications} futures of the next ${span(answer.for_s)}; in brackets, what should hold the outcome in ${percent(answer.confidence, 2)} of cases. Worked out in ${amount(answer.took_s, 2)} s.`;
    const parts = [tableOf(heads, rows, said), worstOf(policies[0])];
    if (failures && failures.length) parts.push(failuresOf(failures, policies[0].policy));
    if (answer.notes.length) parts.push(...answer.notes.map((note) => make("p", { class: "note" }, note)));
    fill(byId("answer"), ...parts);
  }

  async ask() {
    const button = byId("ask");
    button.disabled = true;
    byId("answer").textContent = "The twin is trying it out \u2026";
    try {
      this.show(await ask("what-if", this.question()));
    } catch (error) {
      const lines = error instanceof Refusal && error.said.problems ? error.said.problems.map((each) => `${each.where}: ${each.error} ${each.suggestion}`) : [error.message];
      fill(byId("answer"), ...lines.map((line) => make("p", { class: "answer-error" }, line)));
    } finally {
      button.disabled = false;
    }
  }
}

function named(text) {
  return text.split(",").map((name) => name.trim()).filter(Boolean);
}

// A mean, and the interval that holds what comes.
function between(estimate, digits = 3) {
  if (!estimate || estimate.mean === null) return "\u221e";
  const mean = amount(estimate.mean, digits);
  return estimate.low === estimate.high ? mean : `${mean} ${range(amount(estimate.low, digits), amount(estimate.high, digits))}`;
}

function betweenShares(estimate) {
  if (!estimate || estimate.mean === null) return "\u221e";
  return `${percent(estimate.mean)} ${range(percent(estimate.low), percent(estimate.high))}`;
}

// An interval in brackets, which no line divides.
const range = (low, high) => `(${low} to ${high})`.replaceAll(" ", "\u00a0");

function worstOf(policy, columns = 5) {
  const rows = policy.worst_links.map((each) => [each.link, percent(each.chance_of_violation, 2),
    between(each.violated_minutes), between(each.peak_load_mbps, 4), betweenShares(each.peak_utilization)].slice(0, columns + 1));
  return tableOf(["link", "chance to fall short", "violated minutes", "peak, Mbit/s", "highest use"].slice(0, columns + 1), rows,
    `Where ${policy.policy} is short for longest, or used most`);
}

function failuresOf(failures, policy) {
  const rows = failures.filter((each) => each.policy === policy).slice(0, 8)
    .map((each) => [each.failure, between(each.unmet_mbit), between(each.violated_minutes), each.worst_link, percent(each.worst_utilization)]);
  return tableOf(["failure", "unmet Mbit", "violated minutes", "worst link", "at most used"], rows,
    `What would hurt most under ${policy}: every single failure, lasting all that time`);
}
