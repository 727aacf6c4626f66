// What a chapter asks its reader: predictions, the same beside what was measured, and questions to check oneself by.
import { element, button, row, speaker } from "./parts.js";

// Answers are the reader's own: none of them may stand in an address.
export const settings = {};

const askKey = "nnkit-answers";
const askIsRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// All that this browser remembers: {"5": {"prediction": {"four-units": 990}, "check": {…}, "asked": 5, "read": true}}.
// Where its storage is closed, the page remembers until it is left; and it may hold anything.
function askAll() {
  let text = window.nnkitAnswers;
  try {
    text = localStorage.getItem(askKey) ?? text;
    const all = JSON.parse(text);
    return askIsRecord(all) ? all : {};
  } catch {
    try {
      return JSON.parse(window.nnkitAnswers);
    } catch {
      return {};
    }
  }
}

// Returns whether it will still be there tomorrow.
function askKeep(all) {
  let kept = true;
  const text = JSON.stringify(all);
  try {
    localStorage.setItem(askKey, text);
    delete window.nnkitAnswers;
  } catch {
    kept = false;
    window.nnkitAnswers = text;
  }
  window.dispatchEvent(new Event(askKey));
  return kept;
}

function askIsAnswer({ choices, number }, answer) {
  if (choices) return Number.isInteger(answer) && answer >= 0 && answer < choices.length;
  return typeof answer === "number" && answer >= number.from && answer <= number.to;
}

// The answers of one box: a notebook's kernel remembers them, and on a page the browser does.
function askMemory(model) {
  const group = model.get("kind") === "check_yourself" ? "check" : "prediction";
  const chapter = String(model.get("chapter"));
  const questions = model.get("questions");
  const inNotebook = Boolean(model.widget_manager);
  const heard = [];
  const get = () => {
    const record = askAll()[chapter];
    const kept = inNotebook ? model.get("answers") : askIsRecord(record) && record[group];
    const answers = askIsRecord(kept) ? kept : {};
    const known = questions.filter((question) => askIsAnswer(question, answers[question.name]));
    return Object.fromEntries(known.map(({ name }) => [name, answers[name]]));
  };
  const set = (answers) => {
    let kept = true;
    if (!inNotebook) {
      const all = askAll();
      const record = askIsRecord(all[chapter]) ? all[chapter] : {};
      all[chapter] = { ...record, [group]: answers };
      if (group === "check") all[chapter].asked = questions.length;
      kept = askKeep(all);
    }
    model.set("answers", answers);
    model.save_changes();
    return kept;
  };
  const onchange = (hear) => {
    model.on("change:answers", hear);
    window.addEventListener(askKey, hear);
    window.addEventListener("storage", hear);
    heard.push(hear);
  };
  const end = () => {
    for (const hear of heard) {
      model.off("change:answers", hear);
      window.removeEventListener(askKey, hear);
      window.removeEventListener("storage", hear);
    }
  };
  return { get, set, onchange, end, inNotebook };
}

// What stands between backticks is code.
const askMarked = (text) => text.split("`").map((part, i) => (i % 2 ? element("code", { text: part }) : part));

const askUnit = ({ unit }) => (unit === "%" ? "\u202f%" : unit && ` ${unit}`);
const askRange = ({ from, to, unit }) =>
  `a number from ${askNumber(from)} to ${askNumber(to)}${unit.startsWith("of ") ? "" : askUnit({ unit })}`;
const askNumber = (value) => value.toLocaleString("en", { maximumFractionDigits: 3 });
const askWritten = ({ choices, number }, answer) =>
  choices ? askMarked(choices[answer]) : [askNumber(answer) + askUnit(number)];

let askBoxes = 0;

// The choices of a prediction, or a field for its number. `value` is NaN where nothing was chosen.
function askField(question, name) {
  const { choices, number } = question;
  const mine = element("span", { class: "nnkit-touch-ask-mine", hidden: true, text: "your prediction" });
  const made = element("fieldset", {}, element("legend", {}, ...askMarked(question.asks)));
  if (number) {
    const input = element("input", { type: "number", min: number.from, max: number.to, step: "any", inputmode: "decimal" });
    input.setAttribute("aria-label", `Your prediction, ${askRange(number)}`);
    const unit = element("span", { text: askUnit(number).trim() });
    made.append(element("div", { class: "nnkit-touch-ask-number" }, input, unit, mine));
    made.read = () => (input.value.trim() === "" ? NaN : Number(input.value));
    made.isEmpty = () => input.value === "" && !input.validity.badInput;
    made.write = (answer) => {
      input.value = answer ?? "";
      mine.hidden = answer === undefined;
    };
    made.start = input;
    return made;
  }
  const inputs = choices.map((_, i) => element("input", { type: "radio", name, value: i }));
  const labels = choices.map((text, i) => {
    const label = element("label", { class: "nnkit-touch-ask-choice" }, inputs[i]);
    label.append(element("span", {}, ...askMarked(text)));
    return label;
  });
  made.append(element("div", {}, ...labels));
  made.read = () => {
    const chosen = inputs.findIndex((input) => input.checked);
    return chosen < 0 ? NaN : chosen;
  };
  made.isEmpty = () => !inputs.some((input) => input.checked);
  made.write = (answer) => {
    inputs.forEach((input, i) => (input.checked = i === answer));
    mine.hidden = answer === undefined;
    if (answer !== undefined) labels[answer].append(mine);
  };
  made.start = inputs[0];
  return made;
}

function askPredict({ model, el, memory }) {
  const questions = model.get("questions");
  askBoxes += 1;
  const fields = questions.map((question, i) => askField(question, `nnkit-ask-${askBoxes}-${i}`));
  const commit = element("button", { type: "submit", class: "nnkit-touch-button", text: "Commit to it" });
  const form = element("form", { novalidate: true }, ...fields, row(commit));
  el.append(form);
  const say = speaker(el);
  const where = memory.inNotebook ? "in this notebook" : "in your browser, and nowhere else";
  const sayHowMany = (kept = true) => {
    const count = Object.keys(memory.get()).length;
    if (!count) return say("");
    const all = count === questions.length ? "Your predictions are" : `${count} of ${questions.length} predictions are`;
    say(`${all} kept ${kept ? where : "until you leave this page"}. Further down, under Look back, they meet what was measured.`);
  };
  const show = () => questions.forEach((question, i) => fields[i].write(memory.get()[question.name]));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = {};
    for (const [i, question] of questions.entries()) {
      if (fields[i].isEmpty()) continue;
      const answer = fields[i].read();
      if (!askIsAnswer(question, answer)) {
        fields[i].start.focus();
        return say(`Prediction ${i + 1} must be ${askRange(question.number)}.`);
      }
      given[question.name] = answer;
    }
    if (!Object.keys(given).length) return say("Choose an answer first. A guess is enough.");
    const kept = memory.set(given);
    show();
    sayHowMany(kept);
  });
  form.addEventListener("input", () => say("Press the button to commit to what you have chosen."));
  show();
  sayHowMany();
  memory.onchange(show);
}

// How far off a number was, or whether the choice was the one that holds.
function askCompared(question, answer, holds) {
  if (holds === null || holds === undefined) return "";
  if (question.choices) return answer === holds ? "That is what you predicted." : "You had predicted something else.";
  const off = Math.abs(answer - holds);
  const unit = question.number.unit === "%" ? " percentage points" : "";
  return off < 0.5 ? "That is as good as right." : `You were ${askNumber(Math.round(off * 10) / 10)}${unit} off.`;
}

// Where on the range the two numbers lie; the words beside it say the same.
function askTrack({ from, to }, answer, holds) {
  const at = (value) => `left: ${(100 * (value - from)) / (to - from)}%`;
  const marks = [["mine", answer], ["holds", holds]].map(([name, value]) =>
    element("span", { class: `nnkit-touch-ask-${name}-mark`, style: at(value) }),
  );
  return element("div", { class: "nnkit-touch-ask-track", "aria-hidden": "true" }, ...marks);
}

function askLookBack({ model, el, memory }) {
  const list = element("ol", { class: "nnkit-touch-ask-list" });
  el.append(list);
  const lead = (event) => {
    if (!memory.inNotebook) return;
    event.preventDefault(); // In JupyterLab an address belongs to the whole window.
    document.querySelector(".nnkit-touch-ask form")?.scrollIntoView();
  };
  const show = () => {
    const answers = memory.get();
    const measured = model.get("measured");
    const items = model.get("questions").map((question) => {
      const answer = answers[question.name];
      const { text, holds } = measured[question.name];
      const link = element("a", { href: "#touch-predict", text: "The box is at the head of the chapter.", onclick: lead });
      const said = answer === undefined ? ["nothing. ", link] : askWritten(question, answer);
      return element(
        "li",
        {},
        element("p", {}, ...askMarked(question.asks)),
        element(
          "dl",
          { class: "nnkit-touch-ask-pair" },
          element("dt", { text: "You predicted" }),
          element("dd", {}, ...said),
          element("dt", { text: "Measured" }),
          element("dd", {}, ...askMarked(text)),
        ),
        answer !== undefined && question.number && holds !== null ? askTrack(question.number, answer, holds) : null,
        answer === undefined ? null : element("p", { class: "nnkit-touch-ask-reply", text: askCompared(question, answer, holds) }),
      );
    });
    list.replaceChildren(...items);
  };
  show();
  memory.onchange(show);
}

function askCheck({ model, el, memory }) {
  const questions = model.get("questions");
  const count = element("p", { class: "nnkit-touch-static" });
  const asked = questions.map((question) => {
    const reply = element("p", { class: "nnkit-touch-ask-reply" });
    const buttons = question.choices.map((text, i) => {
      const made = button({ text: "", onclick: () => memory.set({ ...memory.get(), [question.name]: i }), pressed: false });
      made.append(...askMarked(text));
      return made;
    });
    const live = element("div", { "aria-live": "polite" }, reply);
    const made = element("fieldset", {}, element("legend", {}, ...askMarked(question.asks)));
    made.append(element("div", { class: "nnkit-touch-ask-answers" }, ...buttons), live);
    made.show = (answer) => {
      buttons.forEach((each, i) => {
        each.setAttribute("aria-pressed", String(i === answer));
        if (i === answer) each.dataset.verdict = i === question.right ? "right" : "wrong";
        else delete each.dataset.verdict;
      });
      const verdict = answer === question.right ? "Right." : "Not this one.";
      const words = answer === undefined ? [] : [element("strong", { text: verdict }), " ", ...askMarked(question.because[answer])];
      const text = words.map((word) => word.textContent ?? word).join("");
      if (reply.textContent !== text) reply.replaceChildren(...words);
    };
    return made;
  });
  const show = () => {
    const answers = memory.get();
    questions.forEach(({ name }, i) => asked[i].show(answers[name]));
    const answered = Object.keys(answers).length;
    const right = questions.filter(({ name, right: place }) => answers[name] === place).length;
    count.textContent = `${answered} of ${questions.length} answered, ${right} right.`;
  };
  show();
  el.append(...asked, count);
  memory.onchange(show);
}

export function render({ model, el }) {
  const draw = { predict: askPredict, look_back: askLookBack, check_yourself: askCheck }[model.get("kind")];
  const memory = askMemory(model);
  el.classList.add("nnkit-touch-ask");
  draw({ model, el, memory });
  return memory.end;
}

export default { render, settings };
