// What the book's classifiers make of a drawing: an answer with its reasons, a code, a cleaned picture, neighbours.
import { button, canvas, element, normal, random, row, slider } from "./parts.js";
import { Linear, sigmoid, Softmax } from "./net.js";
import { network, unpackedDigits } from "./weights.js";
import { drawPixels, INK_SIDE } from "./ink.js";

const viewSide = 5 * INK_SIDE;

// Ink from 0 to 1, as a network takes it.
export const inkOf = (pixels) => Float64Array.from(pixels, (byte) => byte / 255);

function viewPercent(share) {
  if (share > 0.9995) return ">99.9\u00a0%";
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}\u00a0%`;
}

export function pictured(label, caption, side = viewSide) {
  const picture = canvas({ width: side, height: side, label });
  const said = element("figcaption", { text: caption });
  const made = element("figure", { class: "nnkit-touch-picture", style: `width: ${side}px` }, picture, said);
  made.draw = ({ values, color, name = label, text = caption, after = () => {} }) => {
    const context = picture.begin();
    drawPixels(context, values, { side, color });
    after(context);
    picture.setAttribute("aria-label", name);
    said.textContent = text;
  };
  return made;
}

export const asInk = (colors) => (value) => [colors.ink, value];

// A bar for each of the ten digits.
function digitBars(label) {
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const bar = element("span", { class: "nnkit-touch-bar" });
    const said = element("span", { class: "nnkit-touch-share" });
    const track = element("span", { class: "nnkit-touch-track" }, bar);
    return { bar, said, made: element("li", {}, element("span", { text: digit }), track, said) };
  });
  const list = element("ol", { class: "nnkit-touch-bars", "aria-label": label }, ...rows.map(({ made }) => made));
  list.set = (shares, texts, best) =>
    rows.forEach(({ bar, said, made }, digit) => {
      bar.style.width = `${100 * shares[digit]}%`;
      said.textContent = texts[digit];
      made.classList.toggle("nnkit-touch-best", digit === best);
    });
  return list;
}

const viewRanked = (values) => [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);

// Chapter 6: the probabilities of the ten digits, the hidden units, and which ink speaks for the answer.
function classifying({ data }) {
  const model = network(data.network);
  const logitsOf = model.modules.filter((module) => !(module instanceof Softmax));
  const softmax = new Softmax();
  const bars = digitBars("The probability of each digit");
  const reasons = "For and against";
  const evidence = pictured("Which ink speaks for the answer: nothing is drawn.", reasons);
  const hidden = element("div", { class: "nnkit-touch-hidden" });
  const layers = [];
  const layer = (i, units) => {
    if (!layers[i]) {
      const height = 17 * Math.ceil(units / 32);
      const drawn = canvas({ width: 544, height, label: "A hidden layer" });
      layers[i] = { drawn, said: element("p", { class: "nnkit-touch-small" }) };
      hidden.append(layers[i].said, drawn);
    }
    return layers[i];
  };
  const drawHidden = (active, colors) =>
    active.forEach((units, i) => {
      const { drawn, said } = layer(i, units.length);
      const most = Math.max(...units.map(Math.abs), 1e-9);
      const alive = units.filter((unit) => Math.abs(unit) > 0).length;
      const text = `Hidden layer ${i + 1}: ${alive} of ${units.length} units answer; the stronger the colour, the more.`;
      said.textContent = text;
      drawn.setAttribute("aria-label", text);
      const context = drawn.begin();
      units.forEach((unit, u) => {
        const [x, y] = [17 * (u % 32), 17 * Math.floor(u / 32)];
        context.globalAlpha = Math.abs(unit) / most;
        context.fillStyle = colors.ink;
        context.fillRect(x + 1, y + 1, 15, 15);
        context.globalAlpha = 1;
        context.strokeStyle = colors.line;
        context.strokeRect(x + 1.5, y + 1.5, 14, 14);
      });
    });
  const show = (pixels, colors) => {
    const active = [];
    const x = pixels ? inkOf(pixels) : new Float64Array(INK_SIDE * INK_SIDE);
    const logits = logitsOf.reduce((values, module) => {
      const output = module.forward(values, 1);
      if (!(module instanceof Linear)) active.push([...output]);
      return output;
    }, x);
    if (!pixels) {
      bars.set(new Float64Array(10), Array(10).fill("–"), -1);
      drawHidden(active.map((units) => units.map(() => 0)), colors);
      evidence.draw({ values: x, color: asInk(colors), text: reasons });
      return "";
    }
    const shares = softmax.forward(logits, 1);
    const [best, second] = viewRanked(shares);
    bars.set(shares, [...shares].map(viewPercent), best);
    drawHidden(active, colors);
    // The slope of the lead, the first logit less the second, for each pixel.
    const lead = new Float64Array(10);
    lead[best] = 1;
    lead[second] = -1;
    const slope = logitsOf.reduceRight((grad, module) => module.backward(grad, 1), lead);
    const parts = x.map((ink, i) => ink * slope[i]);
    const most = Math.max(...parts.map(Math.abs), 1e-9);
    evidence.draw({
      values: parts,
      color: (part) => [part > 0 ? colors.orange : colors.blue, Math.abs(part) / most],
      name: `Which ink speaks for ${best} and which for ${second}: the ink of each pixel times the slope of the lead.`,
      text: `Orange ink speaks for ${best}, blue ink for ${second}, the next answer.`,
    });
    const next = shares[second] < 0.0005 ? "" : `, with ${viewPercent(shares[second])}`;
    return `The network reads ${best}, with a probability of ${viewPercent(shares[best]).replace(">", "more than ")}; next comes ${second}${next}.`;
  };
  const why = element("p", {
    class: "nnkit-touch-small",
    text:
      "For and against: the ink of a pixel, times how fast the lead of the answer over the next one (the difference " +
      "of their logits) grows with that ink.",
  });
  return { beside: [bars], pictures: [evidence], below: [why, hidden], show };
}

// Chapter 9: the numbers of the code as bars that can be moved, and the digit that is drawn from them.
function encoding({ data, model, change, refresh }) {
  const encoder = network(data.encoder);
  const decoder = network(data.decoder);
  const reach = data.reach;
  const drawn = pictured("The digit drawn from the code", "Drawn again from the code");
  let own = null;
  let code = null;
  let held = 0;
  const clip = (value) => Math.min(reach, Math.max(-reach, value));
  const bars = Array.from({ length: decoder.modules[0].inFeatures }, (_, i) => {
    const bar = element("span", { class: "nnkit-touch-code-bar" });
    const mark = element("span", { class: "nnkit-touch-code-own" });
    const made = element(
      "span",
      {
        class: "nnkit-touch-code",
        role: "slider",
        tabindex: i ? -1 : 0,
        "aria-orientation": "vertical",
        "aria-label": `Number ${i + 1} of the code`,
        "aria-valuemin": -reach,
        "aria-valuemax": reach,
      },
      mark,
      bar,
    );
    const at = (event) => {
      const box = made.getBoundingClientRect();
      return clip(reach * (1 - (2 * (event.clientY - box.top)) / box.height));
    };
    made.addEventListener("pointerdown", (event) => {
      if (!code || event.button !== 0) return;
      made.setPointerCapture(event.pointerId);
      focus(i);
      move(i, at(event));
    });
    made.addEventListener("pointermove", (event) => {
      if (code && made.hasPointerCapture(event.pointerId)) move(i, at(event));
    });
    for (const end of ["pointerup", "pointercancel"]) made.addEventListener(end, () => code && keep());
    made.addEventListener("keydown", (event) => {
      const step = (event.shiftKey ? 5 : 1) * (reach / 20);
      const value = { ArrowUp: code?.[i] + step, ArrowDown: code?.[i] - step, Home: -reach, End: reach, Delete: own?.[i] }[event.key];
      const aside = { ArrowLeft: i - 1, ArrowRight: i + 1 }[event.key];
      if (aside !== undefined) focus(Math.min(bars.length - 1, Math.max(0, aside)));
      else if (value === undefined || !code) return;
      else {
        move(i, event.key === "Delete" ? value : clip(value));
        keep();
      }
      event.preventDefault();
    });
    return { made, bar, mark };
  });
  const focus = (i) => {
    bars.forEach(({ made }, j) => made.setAttribute("tabindex", i === j ? 0 : -1));
    held = i;
    bars[i].made.focus({ preventScroll: true });
  };
  const move = (i, value) => {
    code = code.map((each, j) => (j === i ? value : each));
    held = i;
    refresh(false);
  };
  const keep = () => change({ code: [...code] });
  const back = button({ text: "Back to the drawing's code", onclick: () => change({ code: [] }) });
  const placed = (value) => 50 - (50 * clip(value)) / reach;
  // `fresh` says that the drawing has changed, or the code from outside.
  const show = (pixels, colors, fresh) => {
    if (!pixels) own = code = null;
    else if (fresh) {
      own = [...encoder.forward(inkOf(pixels), 1)];
      const given = model.get("code") ?? [];
      code = given.length === own.length && given.every(Number.isFinite) ? [...given] : [...own];
    }
    bars.forEach(({ made, bar, mark }, i) => {
      const [from, to] = [50, code ? placed(code[i]) : 50];
      bar.style.top = `${Math.min(from, to)}%`;
      bar.style.height = `${Math.abs(to - from)}%`;
      mark.style.top = `${own ? placed(own[i]) : 50}%`;
      made.setAttribute("aria-valuenow", (code?.[i] ?? 0).toFixed(2));
      made.setAttribute("aria-valuetext", (code?.[i] ?? 0).toFixed(1));
    });
    const moved = code ? code.filter((value, i) => value !== own[i]).length : 0;
    back.disabled = !moved;
    if (!code) {
      drawn.draw({ values: new Float64Array(INK_SIDE * INK_SIDE), color: asInk(colors) });
      return "";
    }
    const decoded = decoder.forward(Float64Array.from(code), 1).map(sigmoid);
    drawn.draw({ values: decoded, color: asInk(colors) });
    if (moved) {
      const numbers = moved === 1 ? "one number" : `${moved} numbers`;
      return `Number ${held + 1} is ${code[held].toFixed(1)}; the drawing has ${own[held].toFixed(1)} there. You have moved ${numbers}.`;
    }
    const ink = inkOf(pixels);
    const error = decoded.reduce((sum, value, i) => sum + (value - ink[i]) ** 2, 0) / ink.length;
    return `Drawn again from ${code.length} numbers, with a mean squared error of ${error.toFixed(4)} a pixel.`;
  };
  const list = element(
    "div",
    { class: "nnkit-touch-codes", role: "group", "aria-label": "The numbers of the code" },
    ...bars.map(({ made }) => made),
  );
  const how = element("p", {
    class: "nnkit-touch-small",
    text:
      `The ${bars.length} numbers of the code, from −${reach} (bottom) to ${reach} (top); a line marks the drawing's own. ` +
      "Drag them, or choose one with the left and right arrow keys and move it with up and down.",
  });
  return { beside: [], pictures: [drawn], below: [how, list, row(back)], show, heard: ["code"], forget: { code: [] } };
}

// Chapter 12: noise on the picture, and what an autoencoder that was trained to remove it gives back.
function denoising({ data, model, change }) {
  const encoder = network(data.encoder);
  const decoder = network(data.decoder);
  const noisy = pictured("The noisy picture", "With noise");
  const clean = pictured("The cleaned picture", "Cleaned");
  const sigma = slider({
    label: "Noise σ",
    from: 0,
    to: 1,
    step: 0.01,
    value: model.get("sigma"),
    show: (value) => value.toFixed(2),
    onchange: (value) => change({ sigma: value }),
  });
  const again = button({ text: "Other noise", onclick: () => change({ seed: (model.get("seed") + 1) % 10000 }) });
  const show = (pixels, colors) => {
    sigma.value = model.get("sigma");
    if (!pixels) {
      for (const each of [noisy, clean]) each.draw({ values: new Float64Array(INK_SIDE * INK_SIDE), color: asInk(colors) });
      return "";
    }
    const next = random(model.get("seed"));
    const ink = inkOf(pixels);
    const x = ink.map((value) => value + model.get("sigma") * normal(next));
    const y = decoder.forward(encoder.forward(x, 1), 1).map(sigmoid);
    // A screen has no paper whiter than white.
    noisy.draw({ values: x, color: asInk(colors), text: `With noise of ${model.get("sigma").toFixed(2)}` });
    clean.draw({ values: y, color: asInk(colors) });
    const error = (values) => (values.reduce((sum, value, i) => sum + (value - ink[i]) ** 2, 0) / ink.length).toFixed(3);
    return `The noise adds a mean squared error of ${error(x)} a pixel; after cleaning it is ${error(y)}.`;
  };
  const both = element("div", { class: "nnkit-touch-pictures" }, noisy, clean);
  return { beside: [both, row(sigma, again)], pictures: [], below: [], show, heard: ["sigma", "seed"] };
}

// Chapter 13: the nearest of some labelled digits, and their votes.
function neighbouring({ data, model, change }) {
  const voters = unpackedDigits(data.voters);
  const most = Math.min(25, voters.count);
  const bars = digitBars("The votes for each digit");
  const k = slider({
    label: "Neighbours k",
    from: 1,
    to: most,
    step: 1,
    value: model.get("k"),
    onchange: (value) => change({ k: value }),
  });
  const list = element("ol", { class: "nnkit-touch-near", "aria-label": "The nearest digits, the nearest first" });
  const items = Array.from({ length: most }, () => {
    const drawn = canvas({ width: 2 * INK_SIDE, height: 2 * INK_SIDE, label: "A neighbour" });
    const said = element("span");
    const made = element("li", {}, drawn, said);
    list.append(made);
    return { made, drawn, said };
  });
  const show = (pixels, colors) => {
    k.value = model.get("k");
    const count = Math.min(model.get("k"), most);
    items.forEach(({ made }, i) => (made.hidden = !pixels || i >= count));
    if (!pixels) {
      bars.set(new Float64Array(10), Array(10).fill("–"), -1);
      return "";
    }
    const { nearest, distances, votes, answer } = voted(pixels, voters, count);
    nearest.forEach((which, i) => {
      const { drawn, said } = items[i];
      drawPixels(drawn.begin(), inkOf(voters.of(which)), { side: 2 * INK_SIDE, color: asInk(colors) });
      const label = voters.labels[which];
      drawn.setAttribute("aria-label", `A ${label} at a distance of ${distances[i].toFixed(1)}`);
      said.textContent = `${label}, ${distances[i].toFixed(1)}`;
    });
    bars.set(votes.map((number) => number / count), votes.map(String), answer);
    const among = `Among ${voters.count} digits, the ${count === 1 ? "nearest is" : `${count} nearest say`} ${answer}`;
    return count === 1 ? `${among}.` : `${among}, by ${votes[answer]} of ${count} votes.`;
  };
  const how = element("p", {
    class: "nnkit-touch-small",
    text: "The nearest digits, the nearest first, each with its label and its distance over all 784 pixels.",
  });
  return { beside: [bars], pictures: [], below: [row(k), how, list], show, heard: ["k"] };
}

// The k nearest of labelled digits, and their vote; if votes tie, the nearest of the tied ones decides, as in nnkit.
// Squares of bytes are whole numbers, so that no rounding decides who is nearer.
export function voted(pixels, voters, k) {
  const squares = Array.from({ length: voters.count }, (_, which) => {
    const ink = voters.of(which);
    let sum = 0;
    for (let i = 0; i < ink.length; i++) sum += (pixels[i] - ink[i]) ** 2;
    return sum;
  });
  const nearest = [...squares.keys()].sort((a, b) => squares[a] - squares[b] || a - b).slice(0, k);
  const votes = Array(10).fill(0);
  for (const which of nearest) votes[voters.labels[which]] += 1;
  const top = Math.max(...votes);
  const answer = nearest.map((which) => voters.labels[which]).find((label) => votes[label] === top);
  return { nearest, distances: nearest.map((which) => Math.sqrt(squares[which]) / 255), votes, answer };
}

export const PAD_VIEWS = { classify: classifying, encode: encoding, denoise: denoising, neighbours: neighbouring };
