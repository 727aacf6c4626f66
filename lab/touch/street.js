// Chapter 14's street: points of two classes that can be dragged, and SMO, which finds the widest street between them.
import { SVC } from "./smo.js";
import { atOnce, button, canvas, choice, element, frames, hears, holdsPage, normal, onTheme, palette, random, row, slider, speaker, svg } from "./parts.js";

export const settings = {
  start: { among: ["villages", "blobs", "moons"] },
  points: { text: true },
  kernel: { among: ["linear", "rbf"] },
  C: { from: 0.01, to: 1000 },
  gamma: { from: 0.01, to: 100 },
  pairs: { from: -1, to: 100000, whole: true },
};

const streetWidth = 340;
const streetHeight = 310;
const streetCell = 5; // Between two places where the surface is computed, in pixels.
const streetMost = 300;
const streetPatience = 200000;

// What is in the middle of the picture, and how many pixels are a unit.
const streetViews = {
  villages: { middle: [0, 0], unit: 40 },
  blobs: { middle: [0, 0], unit: 40 },
  moons: { middle: [0.5, 0.25], unit: 62 },
};

// How new points are drawn, of class -1 or 1; the houses of the villages are all there are.
const streetFresh = {
  blobs: (sign, next) => [1.5 * sign + 0.9 * normal(next), sign + 0.9 * normal(next)],
  moons: (sign, next) => {
    const angle = Math.PI * next();
    const upper = [Math.cos(angle), Math.sin(angle)];
    const [x1, x2] = sign < 0 ? upper : [1 - upper[0], 0.5 - upper[1]];
    return [x1 + 0.3 * normal(next), x2 + 0.3 * normal(next)];
  },
};

const streetColour = (sign) => (sign < 0 ? "blue" : "orange");

// A number as it is read: a real minus, and no more digits than anybody looks at.
const streetNumber = (value, digits = 2) => value.toFixed(digits).replace(/^-(?=0\.0*$)/, "").replace("-", "\u2212");

// Points as text for the address: b or o for blue or orange, and both places in hundredths, as in b-120_35o40_0.
function streetText(points) {
  const whole = (place) => Math.round(100 * place);
  return points.map(({ x1, x2, sign }) => `${sign < 0 ? "b" : "o"}${whole(x1)}_${whole(x2)}`).join("");
}

function streetPoints(text) {
  if (!/^([bo]-?\d{1,4}_-?\d{1,4})*$/.test(text))
    throw new Error("These points cannot be read: each must be b or o, and two whole numbers of hundredths, as in b-120_35.");
  const points = [...text.matchAll(/([bo])(-?\d+)_(-?\d+)/g)].map(([, letter, x1, x2]) => ({
    x1: Number(x1) / 100,
    x2: Number(x2) / 100,
    sign: letter === "b" ? -1 : 1,
  }));
  if (points.length > streetMost) throw new Error(`There may be at most ${streetMost} points; these are ${points.length}.`);
  return points;
}

// The score at every place of a grid. An RBF kernel is a product of two, one for each direction, so that a support
// vector costs one exponential for each row and each column, and not for each place.
function streetSurface({ across, along, points, coef, bias, kernel, gamma }) {
  const columns = across.length;
  const values = new Float64Array(columns * along.length).fill(bias);
  points.forEach(({ x1, x2 }, k) => {
    if (coef[k] === 0) return;
    const near = (places, own) => places.map((place) => (kernel === "rbf" ? Math.exp(-gamma * (place - own) ** 2) : place * own));
    const byColumn = near(across, x1);
    near(along, x2).forEach((byRow, r) => {
      for (let c = 0; c < columns; c++)
        values[r * columns + c] += coef[k] * (kernel === "rbf" ? byRow * byColumn[c] : byRow + byColumn[c]);
    });
  });
  return values;
}

// Where a surface has a height, as an SVG path: a piece of line through each cell whose corners lie on both sides of it.
function streetContour(values, columns, level) {
  const rows = values.length / columns;
  const pieces = [];
  for (let r = 0; r + 1 < rows; r++) {
    for (let c = 0; c + 1 < columns; c++) {
      const at = r * columns + c;
      const above = (values[at] >= level) + (values[at + 1] >= level) + (values[at + columns] >= level) + (values[at + columns + 1] >= level);
      if (above === 0 || above === 4) continue;
      const corners = [[c, r], [c + 1, r], [c + 1, r + 1], [c, r + 1]];
      const ends = [];
      for (let side = 0; side < 4; side++) {
        const [ca, ra] = corners[side];
        const [cb, rb] = corners[(side + 1) % 4];
        const a = values[ra * columns + ca] - level;
        const b = values[rb * columns + cb] - level;
        if (a < 0 === b < 0) continue;
        const share = a / (a - b);
        const x = streetCell * (ca + share * (cb - ca));
        const y = streetCell * (ra + share * (rb - ra));
        ends.push(`${x.toFixed(1)} ${y.toFixed(1)}`);
      }
      for (let i = 0; i + 1 < ends.length; i += 2) pieces.push(`M${ends[i]}L${ends[i + 1]}`);
    }
  }
  return pieces.join("");
}

export function render({ model, el }) {
  const get = (name) => model.get(name);
  const set = (changes, save = true) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    if (save) model.save_changes();
  };

  let points = [];
  let wrong = ""; // What is the matter with the points, as a sentence.
  let solver = null;
  let coef = []; // The multipliers, with the signs of their labels.
  let bias = 0;
  let pair = null; // The one that moved last, and its multipliers before.
  let solved = false;
  let chosen = -1;
  let told = ""; // What the hand did last, as a sentence.
  let adds = -1;

  // The picture: the surface on a canvas, and over it lines and points, of which only the points hold a finger back.
  const surface = canvas({ width: streetWidth, height: streetHeight, label: "The score of every place, as shading." });
  const lines = [-1, 0, 1].map((level) => svg("path", { class: `nnkit-touch-street-${level ? "edge" : "border"}`, fill: "none" }));
  const small = element("canvas");
  const link = svg("path", { class: "nnkit-touch-street-link" });
  const dots = svg("g");
  const names = svg("g", { "aria-hidden": "true" });
  const overlay = svg(
    "svg",
    { viewBox: `0 0 ${streetWidth} ${streetHeight}`, class: "nnkit-touch-street-points", tabindex: 0, role: "application" },
    ...lines,
    link,
    dots,
    names,
  );
  const view = () => streetViews[get("start")] ?? streetViews.villages;
  const toPixel = ({ x1, x2 }) => {
    const { middle, unit } = view();
    return [streetWidth / 2 + (x1 - middle[0]) * unit, streetHeight / 2 - (x2 - middle[1]) * unit];
  };
  const toPlane = ({ x, y }) => {
    const { middle, unit } = view();
    const clear = (at, room) => Math.min(room - 8, Math.max(8, at));
    const hundredths = (place) => Math.round(100 * place) / 100;
    return {
      x1: hundredths(middle[0] + (clear(x, streetWidth) - streetWidth / 2) / unit),
      x2: hundredths(middle[1] - (clear(y, streetHeight) - streetHeight / 2) / unit),
    };
  };

  const read = () => {
    wrong = "";
    try {
      points = streetPoints(get("points") || get("data")[get("start")]);
    } catch (error) {
      wrong = `${error.message} Here are the ${get("start")} instead.`;
      points = streetPoints(get("data")[get("start")]);
    }
    if (chosen >= points.length) chosen = points.length - 1;
  };

  // One pair; false when there is nothing left to do.
  const work = () => {
    const limit = get("pairs");
    if (solver.nIter >= (limit < 0 ? streetPatience : limit)) return false;
    const before = limit < 0 ? null : Float64Array.from(solver.alpha);
    const moved = solver.step();
    if (moved === null) {
      solved = true;
      pair = null;
      return false;
    }
    pair = limit < 0 ? null : { moved, before };
    return true;
  };
  const working = frames(work, { el, onframe: () => working.running || draw() });

  const solve = () => {
    working.stop();
    read();
    solver = pair = null;
    solved = false;
    const signs = points.map(({ sign }) => sign);
    if (!signs.includes(-1) || !signs.includes(1)) {
      if (!wrong) wrong = `There is no ${signs.includes(1) ? "blue" : "orange"} point left. A street needs a point on either side: add one.`;
      return draw();
    }
    try {
      solver = new SVC({ C: get("C"), kernel: get("kernel"), gamma: get("gamma"), tol: 1e-3 });
      solver.start(Float64Array.from(points.flatMap(({ x1, x2 }) => [x1, x2])), Float64Array.from(signs), points.length, 2);
    } catch (error) {
      solver = null;
      wrong = error.message;
      return draw();
    }
    // Most problems are solved before the next frame; for the others the last street stays until they are.
    const end = performance.now() + 8;
    let going = true;
    while (going && performance.now() < end) going = work();
    if (!going) return draw();
    drawPoints();
    return working.start();
  };

  const score = ({ x1, x2 }) => {
    let sum = bias;
    points.forEach((own, k) => {
      if (coef[k] === 0) return;
      const kernel = get("kernel") === "rbf" ? Math.exp(-get("gamma") * ((x1 - own.x1) ** 2 + (x2 - own.x2) ** 2)) : x1 * own.x1 + x2 * own.x2;
      sum += coef[k] * kernel;
    });
    return sum;
  };

  const drawSurface = () => {
    const context = surface.begin();
    if (!solver) {
      for (const line of lines) line.setAttribute("d", "");
      return;
    }
    const places = (count, of) => Array.from({ length: count }, (_, i) => of(i * streetCell));
    const { middle, unit } = view();
    const across = places(streetWidth / streetCell + 1, (x) => middle[0] + (x - streetWidth / 2) / unit);
    const along = places(streetHeight / streetCell + 1, (y) => middle[1] - (y - streetHeight / 2) / unit);
    const values = streetSurface({ across, along, points, coef, bias, kernel: get("kernel"), gamma: get("gamma") });
    // Eight shades from score -2 to 2, each place a dot of a small picture, which is then drawn large and smooth.
    const { blue, orange } = palette(el);
    small.width = across.length;
    small.height = along.length;
    const dot = small.getContext("2d");
    values.forEach((value, i) => {
      dot.globalAlpha = 0.09 * Math.min(4, Math.ceil(Math.abs(value) * 2));
      dot.fillStyle = value < 0 ? blue : orange;
      dot.fillRect(i % across.length, Math.floor(i / across.length), 1, 1);
    });
    context.drawImage(small, -streetCell / 2, -streetCell / 2, across.length * streetCell, along.length * streetCell);
    lines.forEach((line, i) => line.setAttribute("d", streetContour(values, across.length, i - 1)));
  };

  let marks = [];
  const put = (mark, places) => {
    for (const [name, value] of Object.entries(places)) mark.setAttribute(name, value.toFixed(1));
  };
  const drawPoints = () => {
    const largest = Math.max(1e-12, ...coef.map(Math.abs));
    // A mark stays the same element as long as its point is there, or a finger would lose what it holds.
    const signs = points.map(({ sign }) => sign).join();
    if (marks.signs !== signs) {
      marks = points.map(({ sign }, k) => {
        const hold = svg("circle", { r: 17, class: "nnkit-touch-street-hold" });
        const mark = svg(sign < 0 ? "circle" : "rect", { class: `nnkit-touch-street-${streetColour(sign)}` });
        const ring = svg("circle");
        return { hold, mark, ring, group: svg("g", { "data-point": k }, hold, mark, ring) };
      });
      marks.signs = signs;
      dots.replaceChildren(...marks.map(({ group }) => group));
    }
    points.forEach((point, k) => {
      const [x, y] = toPixel(point);
      const share = Math.abs(coef[k] ?? 0) / largest;
      const size = Math.sqrt(share > 0 ? 20 + 52 * share : 13); // The area grows with the multiplier.
      const { hold, mark, ring } = marks[k];
      put(hold, { cx: x, cy: y });
      if (point.sign < 0) put(mark, { cx: x, cy: y, r: size });
      else put(mark, { x: x - 0.9 * size, y: y - 0.9 * size, width: 1.8 * size, height: 1.8 * size });
      mark.toggleAttribute("data-holds", share > 0);
      const held = pair?.moved.includes(k);
      put(ring, { cx: x, cy: y, r: held || k === chosen ? size + 5 : 0 });
      ring.setAttribute("class", `nnkit-touch-street-${held ? "pair" : "chosen"}`);
    });
    names.replaceChildren();
    link.setAttribute("d", "");
    if (pair) {
      const ends = pair.moved.map((k) => toPixel(points[k]));
      link.setAttribute("d", `M${ends[0].join(" ")}L${ends[1].join(" ")}`);
      pair.moved.forEach((k, side) => {
        const [x, y] = ends[side];
        // Each name stands on the far side of the other point, and inside the picture.
        const below = y > ends[1 - side][1] || (y === ends[1 - side][1] && side === 1);
        const height = Math.max(14, Math.min(streetHeight - 6, below ? y + 27 : y - 17));
        const place = { x: Math.max(20, Math.min(streetWidth - 20, x)), y: height, "text-anchor": "middle" };
        names.append(svg("text", place, "\u03b1", svg("tspan", { "baseline-shift": "sub", "font-size": "13", text: k + 1 })));
      });
    }
    overlay.setAttribute("aria-label", `${points.length} points. ${pointSentence(chosen) || "None is chosen."} Arrow keys move the chosen point, page up and page down choose another, b and o add one, and delete removes it.`);
  };

  // The numbers beside the picture.
  const numbers = {};
  const table = element("dl", { class: "nnkit-touch-street-numbers" });
  for (const [key, label] of [
    ["pairs", "pairs moved"],
    ["objective", "dual objective"],
    ["gap", "gap"],
    ["support", "support vectors"],
    ["width", "width of the street"],
    ["right", "right, of these"],
    ["fresh", "right, of 2,000 new"],
  ]) {
    numbers[key] = element("dd", { "data-number": key });
    table.append(element("dt", { text: label }), numbers[key]);
  }
  const shown = (key, is) => [numbers[key], numbers[key].previousSibling].forEach((each) => (each.hidden = !is));
  const drawNumbers = () => {
    for (const each of Object.values(numbers)) each.textContent = "\u2013";
    if (!solver) return;
    const C = get("C");
    const holds = coef.filter((each) => each !== 0).length;
    const free = coef.filter((each) => each !== 0 && Math.abs(each) < C).length;
    numbers.pairs.textContent = solver.nIter.toLocaleString("en");
    const objective = solver.objective();
    numbers.objective.textContent = streetNumber(objective, objective < 1000 ? 4 : 1);
    const gap = solver.gap;
    numbers.gap.textContent = gap < 0.001 ? "under 0.001" : streetNumber(gap, gap < 10 ? 4 : 1);
    numbers.support.textContent = `${holds} of ${points.length}, ${free} free`;
    shown("width", get("kernel") === "linear");
    shown("fresh", newPoints() !== null);
    if (holds) {
      const w = ["x1", "x2"].map((name) => points.reduce((sum, point, k) => sum + coef[k] * point[name], 0));
      numbers.width.textContent = streetNumber(2 / Math.hypot(...w));
    }
    const share = (among) => `${((100 * among.filter((each) => score(each) > 0 === each.sign > 0).length) / among.length).toFixed(1)} %`;
    numbers.right.textContent = share(points);
    if (newPoints()) numbers.fresh.textContent = share(newPoints());
  };
  const drawnNew = {};
  const newPoints = () => {
    const start = get("start");
    if (!streetFresh[start]) return null;
    if (!drawnNew[start]) {
      const next = random(5);
      drawnNew[start] = Array.from({ length: 2000 }, (_, i) => {
        const sign = i % 2 ? 1 : -1;
        const [x1, x2] = streetFresh[start](sign, next);
        return { x1, x2, sign };
      });
    }
    return drawnNew[start];
  };

  const pointSentence = (k) => {
    const point = points[k];
    if (!point) return "";
    const where = `Point ${k + 1} of ${points.length}, ${streetColour(point.sign)}, at ${streetNumber(point.x1)} and ${streetNumber(point.x2)}`;
    if (!solver || !solved) return `${where}.`;
    const alpha = Math.abs(coef[k]);
    if (alpha === 0) return `${where}: its multiplier is 0, the street does not need it.`;
    if (alpha < get("C")) return `${where}: its multiplier is ${streetNumber(alpha)}, it is free on the edge of the street.`;
    return `${where}: its multiplier is at its bound C, it lies in the street or beyond it.`;
  };
  const pairSentence = () => {
    const { moved, before } = pair;
    const one = moved.map((k) => {
      const now = Math.abs(coef[k]);
      const clipped = now === 0 || now === get("C") ? `, its bound` : "";
      const verb = now > before[k] ? "rises" : "falls";
      return `\u03b1 of point ${k + 1} (${streetColour(points[k].sign)}) ${verb} from ${streetNumber(before[k])} to ${streetNumber(now)}${clipped}`;
    });
    return `Pair ${solver.nIter}: ${one.join(", and ")}.`;
  };
  const sentence = () => {
    if (wrong && !solver) return wrong;
    const said = [wrong, told];
    if (pair) said.push(pairSentence());
    else if (!solved && get("pairs") === 0) said.push("All multipliers are 0, and no pair has moved yet.");
    else if (!solved) said.push(`Stopped after ${solver.nIter.toLocaleString("en")} pairs, before the gap was closed.`);
    if (solved && get("pairs") >= 0) said.push(`No pair can gain any more: solved with ${solver.nIter} pairs.`);
    if (said.every((each) => !each)) said.push(`Solved with ${solver.nIter.toLocaleString("en")} pairs.`);
    return said.filter(Boolean).join(" ");
  };

  const draw = () => {
    coef = solver ? points.map(({ sign }, k) => sign * solver.alpha[k]) : [];
    bias = solver?.bias;
    if (chosen >= 0 && told) told = pointSentence(chosen);
    first.textContent = get("pairs") < 0 ? "First pair" : "Next pair";
    drawSurface();
    drawPoints();
    drawNumbers();
    say(sentence());
  };

  // What the hand can do with the points.
  const moved = (changed, save = true) => {
    told = "";
    set({ points: streetText(changed) }, save);
    update();
  };
  const choose = (k) => {
    chosen = points.length ? (k + points.length) % points.length : -1;
    told = pointSentence(chosen);
    drawPoints();
    if (solver && !working.running) say(sentence());
  };
  const shift = (right, up) => {
    if (!points[chosen]) return choose(0);
    const [x, y] = toPixel(points[chosen]);
    const { unit } = view();
    told = "moved";
    const place = toPlane({ x: x + right * unit, y: y - up * unit });
    set({ points: streetText(points.map((each, k) => (k === chosen ? { ...each, ...place } : each))) });
    return update();
  };
  const add = (sign, at = null) => {
    if (points.length >= streetMost) return say(`There may be at most ${streetMost} points.`);
    const { middle } = view();
    const place = at ?? { x1: middle[0] + sign * 0.5, x2: middle[1] };
    chosen = points.length;
    set({ points: streetText([...points, { ...place, sign }]) });
    told = "added";
    return update();
  };
  const remove = () => {
    if (!points[chosen]) return say("Choose a point first.");
    if (points.length === 1) return say("The last point stays.");
    const left = points.filter((_, k) => k !== chosen);
    chosen = -1;
    return moved(left);
  };

  const keys = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  };
  overlay.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = keys[event.key];
    const size = event.shiftKey ? 0.5 : 0.1;
    if (way) shift(size * way[0], size * way[1]);
    else if (event.key === "PageDown") choose(chosen + 1);
    else if (event.key === "PageUp") choose(chosen < 0 ? -1 : chosen - 1);
    else if (event.key === "Delete" || event.key === "Backspace") remove();
    else if (event.key === "b" || event.key === "o") add(event.key === "b" ? -1 : 1);
    else return;
    event.preventDefault();
  });

  let dragged = false;
  const nearest = (at) => {
    let best = -1;
    let distance = 22;
    points.forEach((point, k) => {
      const [x, y] = toPixel(point);
      const own = Math.hypot(x - at.x, y - at.y);
      if (own < distance) [best, distance] = [k, own];
    });
    return best;
  };
  overlay.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    const hit = nearest(surface.place(event));
    if (hit < 0) return;
    dragged = true;
    overlay.setPointerCapture(event.pointerId);
    choose(hit);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!dragged || !points[chosen]) return;
    const place = toPlane(surface.place(event));
    const own = points[chosen];
    if (place.x1 === own.x1 && place.x2 === own.x2) return;
    told = "moved";
    set({ points: streetText(points.map((each, k) => (k === chosen ? { ...each, ...place } : each))) }, false);
    update();
  });
  holdsPage(overlay, (event) => nearest(surface.place(event.touches[0])) >= 0);
  const drop = () => {
    if (dragged) model.save_changes();
    // The click that follows a drag adds no point.
    setTimeout(() => (dragged = false));
  };
  overlay.addEventListener("pointerup", drop);
  overlay.addEventListener("pointercancel", drop);
  overlay.addEventListener("click", (event) => {
    if (!dragged && adds) add(adds, toPlane(surface.place(event)));
  });

  // Sliders run over powers of ten; a value from elsewhere that lies between two of their stops is shown as it is.
  const powers = (name, label) => {
    const value = (stop) => (Math.abs(Math.log10(get(name)) - stop) < 0.026 ? get(name) : Number((10 ** stop).toPrecision(3)));
    return slider({
      label,
      from: Math.log10(settings[name].from),
      to: Math.log10(settings[name].to),
      step: 0.05,
      value: Math.log10(get(name)),
      show: (stop) => String(Number(value(stop).toPrecision(4))),
      onchange: (stop) => {
        set({ [name]: Number((10 ** stop).toPrecision(3)) });
        update();
      },
    });
  };
  const change = (changes) => {
    told = "";
    set(changes);
    update();
  };
  const which = choice({
    label: "Points",
    among: [["villages", "two villages"], ["blobs", "two clouds"], ["moons", "two moons"]],
    value: get("start"),
    onchange: (start) => {
      chosen = -1;
      change({ start, points: "", pairs: -1 });
    },
  });
  const kernel = choice({
    label: "Kernel",
    among: [["linear", "linear"], ["rbf", "RBF"]],
    value: get("kernel"),
    onchange: (now) => change({ kernel: now }),
  });
  const price = powers("C", "Price C");
  const reach = powers("gamma", "\u03b3 of the RBF");
  const tap = choice({
    label: "A tap adds",
    among: [[-1, "blue"], [1, "orange"], [0, "nothing"]],
    value: adds,
    onchange: (sign) => (adds = sign),
  });
  const further = (by) => {
    const now = get("pairs");
    // Who goes on after the end stays at the end.
    const from = now < 0 ? 0 : solver ? Math.min(now, solver.nIter) : now;
    change({ pairs: Math.min(settings.pairs.to, from + (solved && now >= 0 ? 1 : by)) });
  };
  const first = button({ text: "First pair", onclick: () => further(1) });

  el.append(
    row(which, kernel, button({ text: "As they were", label: "Put all points back as they were", onclick: () => change({ points: "" }) })),
    element(
      "div",
      { class: "nnkit-touch-street" },
      element("div", { class: "nnkit-touch-street-plane" }, surface, overlay),
      table,
    ),
  );
  const say = speaker(el);
  el.append(
    row(price, reach),
    row(
      element("span", { text: "SMO:" }),
      button({ text: "Start over", label: "Start over, before the first pair", onclick: () => change({ pairs: 0 }) }),
      first,
      button({ text: "Ten pairs", label: "Ten pairs more", onclick: () => further(10) }),
      button({ text: "To the end", onclick: () => change({ pairs: -1 }) }),
    ),
    row(
      tap,
      button({ text: "Next point", label: "Choose the next point", onclick: () => choose(chosen + 1) }),
      button({ text: "Remove point", label: "Remove point, the chosen one", onclick: remove }),
    ),
  );

  let drawn = "";
  const update = () => {
    const now = JSON.stringify(Object.keys(settings).map(get));
    if (now === drawn) return;
    drawn = now;
    which.value = get("start");
    kernel.value = get("kernel");
    price.value = Math.log10(get("C"));
    reach.value = Math.log10(get("gamma"));
    reach.querySelector("input").disabled = get("kernel") === "linear";
    solve();
  };
  const follow = atOnce(update);
  const unheard = hears(model, Object.fromEntries(Object.keys(settings).map((name) => [name, follow])));
  const stopTheme = onTheme(el, draw);
  update();
  return () => {
    working.end();
    stopTheme();
    unheard();
  };
}

export default { render, settings };
