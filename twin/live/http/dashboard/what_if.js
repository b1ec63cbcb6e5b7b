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
    const question = { for: byId("for").value, replications: Number(byId("replications").value) };
    if (kind === "json") question.events = JSON.parse(byId("events-json").value || "[]");
    if (kind === "link_failure" || kind === "surge") {
      const written = byId("targets").value.split(",").map((name) => name.trim()).filter(Boolean);
      const event = { kind, links: written.length === 1 && written[0] === "all" ? "all" : written, start: byId("start").value, duration: byId("duration").value };
      if (kind === "surge") event.factor = Number(byId("factor").value);
      question.events = [event];
    }
    return question;
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
