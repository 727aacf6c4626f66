// The pencil's network as a graph: change any number, and go forward and backward one node at a time.
import { button, element, hears, row, speaker, svg } from "./parts.js";

const graphRange = { from: -99, to: 99 };

export const settings = {
  step: { from: 0, to: 16, whole: true },
  x_1: graphRange,
  x_2: graphRange,
  W1_11: graphRange,
  W1_12: graphRange,
  W1_21: graphRange,
  W1_22: graphRange,
  b1_1: graphRange,
  b1_2: graphRange,
  W2_1: graphRange,
  W2_2: graphRange,
  b2: graphRange,
  y: graphRange,
};

// Z = x W1 + b1, H = max(0, Z), yhat = H W2 + b2, L = (yhat - y)^2
function graphForward(v) {
  const z_1 = v.x_1 * v.W1_11 + v.x_2 * v.W1_21 + v.b1_1;
  const z_2 = v.x_1 * v.W1_12 + v.x_2 * v.W1_22 + v.b1_2;
  const h_1 = Math.max(0, z_1);
  const h_2 = Math.max(0, z_2);
  const yhat = h_1 * v.W2_1 + h_2 * v.W2_2 + v.b2;
  return { ...v, z_1, z_2, h_1, h_2, yhat, L: (yhat - v.y) ** 2 };
}

// The gradient of L with respect to each of them, from the loss backwards.
function graphBackward(v) {
  const yhat = 2 * (v.yhat - v.y);
  const h_1 = yhat * v.W2_1;
  const h_2 = yhat * v.W2_2;
  const z_1 = v.z_1 > 0 ? h_1 : 0;
  const z_2 = v.z_2 > 0 ? h_2 : 0;
  return {
    L: 1,
    yhat,
    b2: yhat,
    W2_1: v.h_1 * yhat,
    W2_2: v.h_2 * yhat,
    h_1,
    h_2,
    z_1,
    z_2,
    b1_1: z_1,
    b1_2: z_2,
    W1_11: v.x_1 * z_1,
    W1_12: v.x_1 * z_2,
    W1_21: v.x_2 * z_1,
    W1_22: v.x_2 * z_2,
    x_1: z_1 * v.W1_11 + z_2 * v.W1_12,
    x_2: z_1 * v.W1_21 + z_2 * v.W1_22,
  };
}

const graphNames = {
  x_1: "x\u2081",
  x_2: "x\u2082",
  z_1: "z\u2081",
  z_2: "z\u2082",
  h_1: "h\u2081",
  h_2: "h\u2082",
  yhat: "y\u0302",
  L: "L",
  b1_1: "b\u2081, entry 1",
  b1_2: "b\u2081, entry 2",
  b2: "b\u2082",
  y: "y",
  W1_11: "W\u2081, row 1, column 1",
  W1_12: "W\u2081, row 1, column 2",
  W1_21: "W\u2081, row 2, column 1",
  W1_22: "W\u2081, row 2, column 2",
  W2_1: "W\u2082, row 1",
  W2_2: "W\u2082, row 2",
};

// In which step a value comes to be known, and a gradient.
const graphValueAt = { z_1: 1, z_2: 2, h_1: 3, h_2: 4, yhat: 5, L: 6 };
const graphGradientAt = {
  ...{ L: 7, yhat: 7, b2: 8, W2_1: 8, W2_2: 8, h_1: 9, h_2: 10, z_1: 11, z_2: 12 },
  ...{ b1_1: 13, b1_2: 13, W1_11: 13, W1_12: 13, W1_21: 13, W1_22: 13, x_1: 14, x_2: 15 },
};

// From where to where, the number that is on the way, and the steps in which it is used.
const graphEdges = [
  ["x_1", "z_1", "W1_11", [1, 13, 14]],
  ["x_1", "z_2", "W1_12", [2, 13, 14]],
  ["x_2", "z_1", "W1_21", [1, 13, 15]],
  ["x_2", "z_2", "W1_22", [2, 13, 15]],
  ["b1_1", "z_1", null, [1, 13]],
  ["b1_2", "z_2", null, [2, 13]],
  ["z_1", "h_1", null, [3, 11]],
  ["z_2", "h_2", null, [4, 12]],
  ["h_1", "yhat", "W2_1", [5, 8, 9]],
  ["h_2", "yhat", "W2_2", [5, 8, 10]],
  ["b2", "yhat", null, [5, 8]],
  ["yhat", "L", null, [6, 7]],
  ["y", "L", null, [6, 7]],
];

// Where things stand: on a desk from left to right, and on a phone from the top down.
const graphWide = {
  ...{ width: 548, height: 356, x_1: [30, 96], x_2: [30, 276], W1_11: [92, 96], W1_12: [92, 156], W1_21: [92, 216] },
  ...{ W1_22: [92, 276], b1_1: [142, 34], b1_2: [142, 326], z_1: [208, 96], z_2: [208, 276], h_1: [304, 96] },
  ...{ h_2: [304, 276], W2_1: [360, 138], W2_2: [360, 234], yhat: [424, 186], b2: [412, 304], L: [518, 186], y: [518, 304] },
  // Where the local derivative of an edge is written that no weight stands on.
  marks: {
    ...{ b1_1: [164, 88, "middle"], b1_2: [193, 327, "middle"], z_1: [256, 89, "middle"], z_2: [256, 269, "middle"] },
    ...{ b2: [426, 254, "start"], yhat: [471, 179, "middle"], y: [512, 254, "end"] },
  },
};
const graphNarrow = {
  ...{ width: 306, height: 704, x_1: [44, 62], x_2: [262, 62], W1_11: [44, 132], W1_12: [117, 132], W1_21: [189, 132] },
  ...{ W1_22: [262, 132], b1_1: [117, 272], b1_2: [189, 272], z_1: [44, 272], z_2: [262, 272], h_1: [44, 388] },
  ...{ h_2: [262, 388], W2_1: [85, 442], W2_2: [221, 442], yhat: [153, 536], b2: [250, 536], L: [153, 652], y: [250, 652] },
  marks: {
    ...{ b1_1: [75, 266, "middle"], b1_2: [231, 266, "middle"], z_1: [54, 336, "start"], z_2: [272, 336, "start"] },
    ...{ b2: [196, 529, "middle"], yhat: [163, 600, "start"], y: [196, 645, "middle"] },
  },
};

export function render({ model, el }) {
  const inputs = {};
  const gradients = {};
  const values = {};
  const shown = (value) => {
    if (Math.abs(value) >= 1e5) {
      const [first, power] = value.toExponential(1).split("e+");
      return `${first}\u00b710${[...power].map((digit) => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[digit]).join("")}`.replace("-", "\u2212");
    }
    return String(Number((value + 0).toPrecision(4))).replace("-", "\u2212");
  };
  const factor = (value) => (value < 0 ? `(${shown(value)})` : shown(value));
  const now = () => {
    const given = Object.fromEntries(Object.keys(settings).map((name) => [name, model.get(name)]));
    const forward = graphForward(given);
    return { v: forward, g: graphBackward(forward) };
  };

  const numberOf = (name) => {
    const input = element("input", {
      type: "number",
      step: 0.5,
      min: graphRange.from,
      max: graphRange.to,
      "aria-label": graphNames[name],
      oninput: () => change(name, input),
      onblur: () => {
        input.removeAttribute("aria-invalid");
        input.value = model.get(name);
      },
    });
    inputs[name] = input;
    const named = { b1_1: "b\u2081", b1_2: "b\u2081", b2: "b\u2082", y: "y" }[name] ?? "";
    gradients[name] = element("span", { class: "nnkit-graph-gradient" });
    const hasGradient = graphGradientAt[name] && !name.startsWith("x");
    return element("label", { class: "nnkit-graph-number" }, element("span", { text: named }), input, hasGradient ? gradients[name] : element("span"));
  };
  const nodeOf = (name) => {
    values[name] = element("span", { class: "nnkit-graph-value" });
    gradients[name] = element("span", { class: "nnkit-graph-gradient" });
    const isInput = name.startsWith("x");
    return element("div", { class: "nnkit-graph-node" }, isInput ? element("span") : values[name], element("b", { text: graphNames[name] }), gradients[name]);
  };
  const cells = Object.fromEntries(Object.keys(settings).filter((name) => name !== "step").map((name) => [name, numberOf(name)]));
  const nodes = Object.fromEntries(["x_1", "x_2", ...Object.keys(graphValueAt)].map((name) => [name, nodeOf(name)]));
  const edges = svg("svg", { "aria-hidden": "true", style: "position: absolute; inset: 0; max-width: none" });
  const factors = svg("g", { "font-size": 13, style: "fill: var(--touch-ink)" });
  const drawing = element("div", { class: "nnkit-graph", role: "group", "aria-label": "The network as a graph" }, edges, ...Object.values(cells), ...Object.values(nodes));

  // What each step does, in words and numbers.
  const sum = (...products) => products.map((pair) => pair.map(factor).join(" \u00b7 ")).join(" + ");
  const rectified = (z) => (z > 0 ? "passes it on" : "is shut, since its sum is not above 0");
  const sentences = [
    () => "Only the inputs are known. Press Step to go forward, one node at a time.",
    ({ v }) => `Forward: z\u2081 = ${sum([v.x_1, v.W1_11], [v.x_2, v.W1_21], [v.b1_1])} = ${shown(v.z_1)}.`,
    ({ v }) => `Forward: z\u2082 = ${sum([v.x_1, v.W1_12], [v.x_2, v.W1_22], [v.b1_2])} = ${shown(v.z_2)}.`,
    ({ v }) => `Forward: h\u2081 = max(0, ${shown(v.z_1)}) = ${shown(v.h_1)}. The rectifier ${rectified(v.z_1)}.`,
    ({ v }) => `Forward: h\u2082 = max(0, ${shown(v.z_2)}) = ${shown(v.h_2)}. The rectifier ${rectified(v.z_2)}.`,
    ({ v }) => `Forward: y\u0302 = ${sum([v.h_1, v.W2_1], [v.h_2, v.W2_2], [v.b2])} = ${shown(v.yhat)}.`,
    ({ v }) => `Forward: L = (${shown(v.yhat)} \u2212 ${factor(v.y)})\u00b2 = ${shown(v.L)}. Next, from the loss backwards.`,
    ({ v, g }) => `Backward: the loss is a square, so the gradient of y\u0302 is 2 (${shown(v.yhat)} \u2212 ${factor(v.y)}) = ${shown(g.yhat)}.`,
    ({ v, g }) => `Backward: b\u2082 is added, so its gradient is ${shown(g.b2)}. W\u2082 multiplies h, so its gradient is ${shown(v.h_1)} and ${shown(v.h_2)}, each times ${factor(g.yhat)}: ${shown(g.W2_1)} and ${shown(g.W2_2)}.`,
    ({ v, g }) => `Backward: h\u2081 is multiplied by ${factor(v.W2_1)}, so its gradient is ${sum([g.yhat, v.W2_1])} = ${shown(g.h_1)}.`,
    ({ v, g }) => `Backward: h\u2082 is multiplied by ${factor(v.W2_2)}, so its gradient is ${sum([g.yhat, v.W2_2])} = ${shown(g.h_2)}.`,
    ({ v, g }) => `Backward: the rectifier of z\u2081 ${v.z_1 > 0 ? "is open: factor 1" : "is shut: factor 0"}. So its gradient is ${shown(g.z_1)}.`,
    ({ v, g }) => `Backward: the rectifier of z\u2082 ${v.z_2 > 0 ? "is open: factor 1" : "is shut: factor 0"}. So its gradient is ${shown(g.z_2)}.`,
    ({ v, g }) => `Backward: the gradient of b\u2081 is that of z, ${shown(g.z_1)} and ${shown(g.z_2)}. That of W\u2081 is x, ${shown(v.x_1)} and ${shown(v.x_2)}, times that of z.`,
    ({ v, g }) => `Backward: two paths lead from x\u2081. Their sum is ${sum([g.z_1, v.W1_11], [g.z_2, v.W1_12])} = ${shown(g.x_1)}.`,
    ({ v, g }) => `Backward: two paths lead from x\u2082. Their sum is ${sum([g.z_1, v.W1_21], [g.z_2, v.W1_22])} = ${shown(g.x_2)}.`,
    () => "Every number has its value and its gradient. Change one, and all follow.",
  ];

  const change = (name, input) => {
    const value = input.value.trim() === "" ? NaN : Number(input.value);
    if (!(value >= graphRange.from && value <= graphRange.to)) {
      input.setAttribute("aria-invalid", "true");
      return say(`${graphNames[name]} must be a number from \u221299 to 99. It is still ${shown(model.get(name))}.`);
    }
    input.removeAttribute("aria-invalid");
    model.set(name, value);
    model.save_changes();
  };
  const go = (to) => {
    model.set("step", Math.min(16, Math.max(0, to)));
    model.save_changes();
  };

  const draw = () => {
    const { v, g } = now();
    const { step } = v;
    for (const [name, input] of Object.entries(inputs)) {
      if (Number(input.value) !== v[name] || (input.value === "" && document.activeElement !== input)) input.value = v[name];
    }
    for (const [name, said] of Object.entries(values)) {
      said.textContent = step >= graphValueAt[name] ? shown(v[name]) : "?";
      nodes[name].dataset.active = step === graphValueAt[name] ? "forward" : "";
    }
    for (const [name, said] of Object.entries(gradients)) said.textContent = step >= graphGradientAt[name] ? shown(g[name]) : "";
    for (const [name, node] of Object.entries(nodes)) if (step === graphGradientAt[name]) node.dataset.active = "backward";
    for (const name of ["x_1", "x_2"]) if (step < 14) nodes[name].dataset.active = "";
    for (const [name, cell] of Object.entries(cells)) cell.dataset.active = step === graphGradientAt[name] && !name.startsWith("x") ? "backward" : "";
    const local = {
      "z_1 h_1": v.z_1 > 0 ? 1 : 0,
      "z_2 h_2": v.z_2 > 0 ? 1 : 0,
      "yhat L": 2 * (v.yhat - v.y),
      "y L": -2 * (v.yhat - v.y),
    };
    edges.replaceChildren(...graphEdges.map(([from, to, , used]) => {
      const [[x0, y0], [x1, y1]] = [where[from], where[to]];
      const unit = { z_1: "1", h_1: "1", z_2: "2", h_2: "2" };
      const shut = [from, to].some((name) => unit[name] && step >= graphValueAt[`h_${unit[name]}`] && v[`z_${unit[name]}`] <= 0);
      const active = used.includes(step);
      const color = active ? (step < 7 ? "blue" : "accent") : "quiet";
      return svg("path", {
        d: `M${x0} ${y0}L${x1} ${y1}`,
        style: `stroke: var(--touch-${color}); fill: none`,
        "stroke-width": active ? 3 : 1.3,
        "stroke-dasharray": shut ? "2 4" : null,
      });
    }), factors);
    // The local derivative stands on its edge; on the edges of a layer, it is the weight that stands there.
    factors.replaceChildren(...graphEdges.filter(([, , weight]) => !weight).flatMap(([from, to]) => {
      const derivative = local[`${from} ${to}`] ?? 1;
      const known = step >= (graphValueAt[to] ?? 0);
      const [x, y, anchor] = where.marks[from];
      return known ? [svg("text", { x, y, "text-anchor": anchor }, `\u00d7 ${shown(Number(derivative.toPrecision(3)))}`)] : [];
    }));
    back.disabled = step === 0;
    start.disabled = step === 0;
    next.disabled = step === 16;
    end.disabled = step === 16;
    return { v, g };
  };

  let where = graphWide;
  const lay = () => {
    const room = el.clientWidth;
    where = room >= graphWide.width - 8 ? graphWide : graphNarrow;
    const scale = Math.min(1, (room || where.width) / where.width);
    Object.assign(drawing.style, {
      width: `${where.width}px`,
      height: `${where.height}px`,
      transform: scale < 1 ? `scale(${scale})` : "",
      marginBottom: scale < 1 ? `${-where.height * (1 - scale)}px` : "",
      marginRight: scale < 1 ? `${-where.width * (1 - scale)}px` : "",
    });
    edges.setAttribute("viewBox", `0 0 ${where.width} ${where.height}`);
    edges.setAttribute("width", where.width);
    edges.setAttribute("height", where.height);
    drawing.dataset.layout = where === graphWide ? "wide" : "narrow";
    for (const [name, cell] of Object.entries(cells)) {
      const [x, y] = where[name];
      cell.style.left = `${x}px`;
      // The number of an input stands above its circle.
      cell.style.top = `${name.startsWith("x") ? y - 38 : y}px`;
    }
    for (const [name, node] of Object.entries(nodes)) [node.style.left, node.style.top] = where[name].map((at) => `${at}px`);
    draw();
  };

  const back = button({ text: "Back", label: "One step back", onclick: () => go(model.get("step") - 1) });
  const start = button({ text: "Start", label: "To the start", onclick: () => go(0) });
  const next = button({ text: "Step", onclick: () => go(model.get("step") + 1) });
  const end = button({ text: "End", label: "To the end", onclick: () => go(16) });
  el.append(row(start, back, next, end));
  const say = speaker(el);
  el.append(drawing);
  const follow = () => {
    const all = draw();
    say(sentences[all.v.step](all));
  };
  const followNumber = (name) => () => {
    const { v, g } = draw();
    if (v.step === 16) say(`${graphNames[name]} is ${shown(v[name])}: y\u0302 = ${shown(v.yhat)}, L = ${shown(v.L)}${g[name] === undefined ? "" : `, and the gradient of ${graphNames[name]} is ${shown(g[name])}`}.`);
    else say(sentences[v.step]({ v, g }));
  };
  lay();
  const first = now();
  say(first.v.step === 16 ? "Change any number, or press Start and go one node at a time. Values stand above, gradients below." : sentences[first.v.step](first));
  const watch = new ResizeObserver(() => requestAnimationFrame(() => el.isConnected && lay()));
  watch.observe(el);
  const heard = Object.fromEntries(Object.keys(settings).map((name) => [name, name === "step" ? follow : followNumber(name)]));
  const unheard = hears(model, heard);
  return () => {
    watch.disconnect();
    unheard();
  };
}

export default { render, settings };
