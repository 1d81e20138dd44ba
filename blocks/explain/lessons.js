"use strict";
// What the answers of the lessons are, computed from the state of the page: a number, which choice, or whether the page is
// in the state that is asked for.

const ANSWERS = {
  vanishing: (state) => {
    const size = (symbol) => norm(state.value(state.symbols.get(symbol)));
    return size("∂L/∂h(1)") / size(`∂L/∂h(${state.page.steps})`);
  },
  gates: (state) => {
    const gates = Array.from({ length: state.page.steps }, (_, t) => state.value(state.symbols.get(`forget(${t + 1})`)).data);
    return Math.min(...gates.flatMap((g) => [...g])) >= 0.95;
  },
  "shared-weights": (state) => {
    const sizes = new Map();
    for (const part of state.lines[state.symbols.get("∂L/∂candidate.W_h")].parts) {
      const step = state.lines[state.symbols.get(part.through)].step[0];
      sizes.set(step, norm(state.part(part)));
    }
    const best = Math.max(...sizes.values());
    return [...sizes.keys()].find((step) => sizes.get(step) === best) - 1;
  },
  forks: (state) => {
    const line = state.lines[state.symbols.get("∂L/∂C(3)")], part = line.parts.find((p) => p.through.startsWith("forget(4)"));
    return state.part(part).data[0];
  },
  "learning-rate": (state, lesson) => {
    const ends = lesson.choices.map((rate) => {
      const other = new State(state.page);
      other.set(other.lr, 0, Number(rate));
      other.learn(100);
      return Number.isFinite(other.loss) ? other.loss : Infinity;
    });
    return ends.indexOf(Math.min(...ends));
  },
};

// Whether an answer is right: a number within a twentieth, the choice that it is, the state that is asked for.
function judged(state, lesson, answer) {
  const right = ANSWERS[lesson.name](state, lesson);
  if (lesson.asks === "state") return { right: right === true, said: right ? "Yes: every gate keeps at least 95 %." : "Not yet: a gate at some step keeps less." };
  if (lesson.asks === "choices") return { right: answer === right, said: answer === right ? `Yes: ${lesson.choices[right]}.` : "No. Look again, or take the hint." };
  if (!Number.isFinite(answer)) return { right: false, said: "Type a number." };
  const good = Math.abs(answer - right) <= 0.05 * Math.abs(right);
  return { right: good, said: good ? `Yes: ${long(right)}.` : `No: you are off by ${long(Math.abs(answer - right))}.` };
}

function lessonPanel(state, lesson) {
  const box = byId("lesson"), verdict = el("p", { class: "verdict", role: "status" });
  box.hidden = false;
  const check = (answer) => { const { right, said } = judged(state, lesson, answer); verdict.textContent = said; verdict.className = right ? "verdict right" : "verdict"; };
  const field = el("input", { type: "text", inputmode: "decimal", "aria-label": "your answer" });
  const answer = {
    number: () => [field, el("button", { onclick: () => check(Number(field.value.replace("−", "-").replace(",", ".") || NaN)) }, "Check")],
    choices: () => lesson.choices.map((choice, i) => el("button", { onclick: () => check(i) }, choice)),
    state: () => [el("button", { onclick: () => check() }, "Check")],
  }[lesson.asks]();
  byId("lesson-body").replaceChildren(el("h3", {}, lesson.title), el("p", {}, typeset(lesson.question)), el("p", { class: "row" }, ...answer), verdict, el("details", {}, el("summary", {}, "Hint"), el("p", {}, typeset(lesson.hint))));
}
