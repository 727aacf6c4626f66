// A line through points that can be dragged, its squared errors, and the bowl of all lines on which it descends.
import { button, choice, element, hears, row, slider, speaker, still, svg } from "./parts.js";
import { plane, dragging, handle } from "./axes.js";

export const settings = {
  points: { text: true },
  w: { from: -1e6, to: 1e6 },
  b: { from: -1e6, to: 1e6 },
  learning_rate: { from: 0.005, to: 1 },
};

const linePlane = { x: [-2.4, 2.4], y: [-6.5, 4.5] };
const lineBowl = { x: [-1.5, 4.5], y: [-4, 2] };

// "some", "all" and "pencil" are the chapter's; any others are written as "x,y x,y".
function linePoints(text, hundred) {
  if (text === "pencil") return [[1, 2], [2, 3]];
  if (text === "all" || text === "some") {
    const all = hundred.x.map((x, i) => [x, hundred.y[i]]);
    return text === "all" ? all : all.sort(([a], [b]) => a - b).filter((_, i) => i % 4 === 2);
  }
  const points = text.trim().split(/\s+/).map((pair) => pair.split(",").map((number) => (number ? Number(number) : NaN)));
  const { x: [left, right], y: [low, high] } = linePlane;
  const fits = ([x, y, ...more]) => x >= left && x <= right && y >= low && y <= high && more.length === 0;
  return points.length <= 100 && points.every(fits) ? points : null;
}

const lineWritten = (points) => points.map(([x, y]) => `${+x.toFixed(2)},${+y.toFixed(2)}`).join(" ");

// How wrong a line is: the mean of its squared errors.
function lineLoss(points, w, b) {
  let sum = 0;
  for (const [x, y] of points) sum += (w * x + b - y) ** 2;
  return sum / points.length;
}

// Which way is up, and how steeply: the derivatives of the loss with respect to w and b.
function lineGradient(points, w, b) {
  let forW = 0;
  let forB = 0;
  for (const [x, y] of points) {
    const error = w * x + b - y;
    forW += error * x;
    forB += error;
  }
  return [(2 / points.length) * forW, (2 / points.length) * forB];
}

// The bowl's two axes, each with its lambda, by which the slope grows along it: the eigenvalues of 2/n A^T A.
function lineBowlOf(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [ww, wb, bb] = [2 * mean(([x]) => x * x), 2 * mean(([x]) => x), 2];
  const spread = Math.hypot((ww - bb) / 2, wb);
  const angle = Math.atan2(2 * wb, ww - bb) / 2;
  const axes = [
    { lambda: (ww + bb) / 2 + spread, along: [Math.cos(angle), Math.sin(angle)] },
    { lambda: Math.max(0, (ww + bb) / 2 - spread), along: [-Math.sin(angle), Math.cos(angle)] },
  ];
  // From (0, 0), go along each axis to where its slope is zero. A valley that is level needs no step.
  const slope = lineGradient(points, 0, 0);
  const lowest = [0, 0];
  for (const { lambda, along } of axes) {
    const needed = lambda > 1e-9 ? -(slope[0] * along[0] + slope[1] * along[1]) / lambda : 0;
    lowest[0] += needed * along[0];
    lowest[1] += needed * along[1];
  }
  return { axes, lowest, floor: lineLoss(points, ...lowest), limit: 2 / axes[0].lambda };
}

export function render({ model, el }) {
  let points;
  let bowl;
  let line = [model.get("w"), model.get("b")];
  let path = [line]; // where the descent has been
  let timer = 0;

  const left = plane({ width: 268, height: 276, ...linePlane, every: [1, 2], xName: "feature x", yName: "target y", label: "The points and the line" });
  const right = plane({ width: 268, height: 276, ...lineBowl, xName: "slope w", yName: "height b", label: "All lines, seen from above" });
  const fixed = (value, digits = 2) => {
    if (Math.abs(value) >= 1e4) return value.toExponential(1).replace("e+", " times 10 to the power of ");
    return value.toFixed(digits).replace(/^-(?=.*[1-9])/, "\u2212").replace(/^-/, "");
  };

  // What the hand takes hold of: the points, and two places of the line.
  const squares = svg("g", { style: "fill: var(--touch-orange); stroke: var(--touch-orange)", "fill-opacity": 0.12, "stroke-opacity": 0.5 });
  const mean = svg("rect", { x: 6, y: 6, style: "fill: var(--touch-orange); stroke: var(--touch-orange)", "fill-opacity": 0.45 });
  const meanName = svg("text", { "font-size": 13, style: "fill: var(--touch-ink)" }, "their mean: the loss");
  const drawn = svg("path", { style: "stroke: var(--touch-orange); stroke-width: 2.5; fill: none" });
  const dots = svg("g", {});
  const grip = (name, onmove) =>
    handle(
      name,
      onmove,
      svg("circle", { r: 22, fill: "transparent", style: "touch-action: none" }),
      svg("rect", { x: -6, y: -6, width: 12, height: 12, style: "fill: var(--touch-paper); stroke: var(--touch-orange); stroke-width: 2.5" }),
    );
  const lift = { handle: grip("", (_, up) => move([line[0], line[1] + 0.1 * up])), at: 0 };
  const turn = { handle: grip("", (_, up) => move([line[0] + 0.1 * up, line[1]])), at: 1.8 };
  left.inside.append(squares, mean, meanName, drawn, dots, lift.handle, turn.handle);

  const contours = svg("g", { style: "stroke: var(--touch-quiet); fill: none", "stroke-opacity": 0.7 });
  const steps = svg("path", { style: "stroke: var(--touch-orange); fill: none", "stroke-width": 1.2 });
  const feet = svg("g", { style: "fill: var(--touch-orange)" });
  const cross = svg("path", { d: "M-5 -5L5 5M-5 5L5 -5", style: "stroke: var(--touch-ink); stroke-width: 2" });
  const here = handle(
    "",
    (across, up) => move([line[0] + 0.1 * across, line[1] + 0.1 * up]),
    svg("circle", { r: 6, style: "fill: var(--touch-orange); stroke: var(--touch-paper); stroke-width: 2" }),
  );
  const ground = svg("rect", { width: right.room.width, height: right.room.height, fill: "transparent", style: "cursor: crosshair" });
  right.inside.append(ground, contours, steps, feet, cross, here);
  right.element.addEventListener("click", (event) => {
    const { x, y } = right.place(event);
    if (x < lineBowl.x[0] || x > lineBowl.x[1] || y < lineBowl.y[0] || y > lineBowl.y[1]) return;
    move([x, y]);
    say(`The descent starts here: w = ${fixed(x)}, b = ${fixed(y)}. ${aboutTheRate()}`);
  });

  const bind = (low, value, high) => Math.min(high, Math.max(low, value));
  const movePoint = (i, x, y) => {
    stop();
    points[i] = [bind(linePlane.x[0], x, linePlane.x[1]), bind(linePlane.y[0], y, linePlane.y[1])];
    points = linePoints(lineWritten(points)); // What Python and the address know is what is drawn.
    which.value = "own";
    path = [line];
    taken = 0;
    bowl = lineBowlOf(points);
    tell({ points: lineWritten(points) });
    draw();
    say(`Point ${i + 1} is at x = ${fixed(points[i][0])}, y = ${fixed(points[i][1])}. The lowest loss is ${fixed(bowl.floor)} now, and the limit of the learning rate is ${fixed(bowl.limit, 3)}.`);
  };
  const pointHandle = (i) => {
    const made = handle(
      "",
      (across, up) => movePoint(i, points[i][0] + 0.1 * across, points[i][1] + 0.1 * up),
      svg("circle", { r: 16, fill: "transparent", style: "touch-action: none" }),
      svg("circle", { r: 4.5, style: "fill: var(--touch-blue); stroke: var(--touch-paper)" }),
    );
    made.addEventListener("focus", () => choose(i));
    made.addEventListener("keydown", (event) => {
      const to = { PageDown: i + 1, PageUp: i - 1, Home: 0, End: points.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      dots.children[bind(0, to, points.length - 1)].focus();
    });
    return made;
  };
  // One of the points is in the way of the Tab key, not all of them.
  const choose = (i) => {
    [...dots.children].forEach((dot, j) => dot.setAttribute("tabindex", j === i ? 0 : -1));
  };
  dragging(left, {
    take(place, event) {
      const far = (x, y) => Math.hypot(left.X(x) - left.X(place.x), left.Y(y) - left.Y(place.y));
      const near = [
        ...[lift, turn].map((each) => ({ ...each, far: far(each.at, line[0] * each.at + line[1]) })),
        ...points.map(([x, y], i) => ({ handle: dots.children[i], point: i, far: far(x, y) })),
      ].reduce((best, each) => (each.far < best.far ? each : best));
      return near.far < (event.pointerType === "mouse" ? 14 : 24) ? near : null;
    },
    move({ handle: held, point, at }, { x, y }) {
      if (point !== undefined) movePoint(point, x, y);
      else if (held === lift.handle) move([line[0], bind(-20, y, 20)]);
      else move([(bind(-20, y, 20) - line[1]) / at, line[1]]);
    },
  });

  // The descent.
  const say = (text) => words(text);
  const rate = () => model.get("learning_rate");
  const bursts = () => rate() > bowl.limit;
  const aboutTheRate = () =>
    bursts()
      ? `The learning rate is above ${fixed(bowl.limit, 3)}, and above that, every step lands further away.`
      : `Up to a learning rate of ${fixed(bowl.limit, 3)} the steps lead to the lowest point; above that, every step lands further away.`;
  const state = () => {
    const loss = lineLoss(points, ...line);
    if (!(loss < 1e8)) return "burst";
    return loss - bowl.floor < 1e-4 ? "there" : "on its way";
  };
  const step = () => {
    if (state() === "burst") return;
    const [forW, forB] = lineGradient(points, ...line);
    line = [line[0] - rate() * forW, line[1] - rate() * forB];
    path.push(line);
    if (path.length > 2001) path.splice(1, 1);
    taken += 1;
  };
  let taken = 0;
  const count = () => `${taken} ${taken === 1 ? "step" : "steps"}`;
  const report = () => {
    const now = state();
    if (now === "burst") return say(`It has burst: after ${count()} the loss is ${fixed(lineLoss(points, ...line))}. Above ${fixed(bowl.limit, 3)}, every step lands further away. Choose a smaller learning rate and start again.`);
    if (now === "there") return say(`After ${count()} the line has arrived: its loss is within 0.0001 of the lowest, ${fixed(bowl.floor, 4)}.`);
    say(`After ${count()} the loss is ${fixed(lineLoss(points, ...line))}. ${aboutTheRate()}`);
  };
  const oneStep = () => {
    stop();
    step();
    tell({ w: line[0], b: line[1] });
    draw();
    report();
  };
  const play = () => {
    if (timer) return stop();
    if (state() !== "on its way") return report();
    if (still()) {
      for (let i = 0; i < 2000 && state() === "on its way"; i += 1) step();
      tell({ w: line[0], b: line[1] });
      draw();
      return report();
    }
    playing.textContent = "Pause";
    const end = taken + 2000;
    timer = setInterval(() => {
      if (!el.isConnected) return stop();
      step();
      tell({ w: line[0], b: line[1] });
      draw();
      if (state() === "on its way" && taken < end) return;
      stop();
      report();
    }, 100);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    playing.textContent = "Play";
  };
  const playing = button({ text: "Play", onclick: play });
  const move = (to, told = true) => {
    stop();
    line = to;
    path = [line];
    taken = 0;
    if (told) tell({ w: line[0], b: line[1] });
    draw();
    say(`w = ${fixed(line[0])}, b = ${fixed(line[1])}: the loss is ${fixed(lineLoss(points, ...line))}.`);
  };
  const again = () => {
    move(path[0]);
    say(`Back where the descent started. ${aboutTheRate()}`);
  };

  // What the model knows, and what it is told.
  let telling = false; // and not being told
  const tell = (changed) => {
    telling = true;
    for (const [name, value] of Object.entries(changed)) model.set(name, value);
    telling = false;
    model.save_changes();
  };
  const followPoints = () => {
    const text = model.get("points");
    if (points && text === lineWritten(points)) return;
    stop();
    const read = linePoints(text, model.get("data"));
    points = read ?? linePoints("some", model.get("data"));
    bowl = lineBowlOf(points);
    path = [line];
    taken = 0;
    dots.replaceChildren(...points.map((_, i) => pointHandle(i)));
    choose(0);
    which.value = ["some", "all", "pencil"].includes(text) ? text : read ? "own" : "some";
    draw();
    unread.textContent = read
      ? ""
      : `The points "${text.slice(0, 40)}" cannot be read. Write up to 100 as x,y x,y with x from \u22122.4 to 2.4 and y from \u22126.5 to 4.5. These are the chapter's.`;
    say(aboutTheRate());
  };
  const followLine = () => {
    if (telling) return;
    const to = [model.get("w"), model.get("b")];
    if (to[0] !== line[0] || to[1] !== line[1]) move(to, false);
  };
  const followRate = () => {
    speed.value = rate();
    draw();
    say(aboutTheRate());
  };

  const draw = () => {
    const [w, b] = line;
    const height = (x) => bind(-1e5, left.Y(w * x + b), 1e5);
    drawn.setAttribute("d", `M${left.X(-2.4)} ${height(-2.4)}L${left.X(2.4)} ${height(2.4)}`);
    while (squares.children.length > points.length) squares.lastChild.remove();
    while (squares.children.length < points.length) squares.append(svg("rect", {}));
    points.forEach(([x, y], i) => {
      const [across, from, to] = [left.X(x), left.Y(y), height(x)];
      const side = Math.abs(to - from);
      // To the right of the stick, or to its left where there is more room.
      const corner = across + side > left.room.width && across > left.room.width / 2 ? across - side : across;
      place(squares.children[i], { x: corner, y: Math.min(from, to), width: side, height: side });
      dots.children[i].setAttribute("transform", `translate(${across} ${from})`);
      const name = `Point ${i + 1} of ${points.length}: x ${fixed(x)}, y ${fixed(y)}. Arrow keys move it, Page Up and Page Down choose another.`;
      dots.children[i].setAttribute("aria-label", name);
    });
    const loss = lineLoss(points, w, b);
    const side = Math.min(1000, Math.sqrt(loss) * Math.abs(left.Y(1) - left.Y(0)));
    place(mean, { width: side, height: side });
    place(meanName, side < 24 ? { x: side + 12, y: 18 } : { x: 6, y: Math.min(side, 220) + 22 });
    for (const each of [lift, turn]) {
      each.handle.setAttribute("transform", `translate(${left.X(each.at)} ${bind(8, height(each.at), left.room.height - 8)})`);
    }
    lift.handle.setAttribute("aria-label", `Height of the line: b ${fixed(b)}. Arrow keys move it.`);
    turn.handle.setAttribute("aria-label", `Slope of the line: w ${fixed(w)}. Arrow keys turn it.`);
    drawBowl();
    numbers.textContent = `w = ${fixed(w)}, b = ${fixed(b)}, loss ${fixed(loss)} (lowest ${fixed(bowl.floor)}), ${count()}`;
  };
  const place = (made, at) => {
    for (const [name, value] of Object.entries(at)) made.setAttribute(name, value.toFixed(2));
  };
  const onBowl = ([w, b]) => `${bind(-1e5, right.X(w), 1e5).toFixed(1)} ${bind(-1e5, right.Y(b), 1e5).toFixed(1)}`;
  const drawBowl = () => {
    const { axes, lowest, floor } = bowl;
    // At a distance d from the lowest point along an axis, the loss is lambda d^2 / 2 higher: a level is an ellipse.
    const levels = [0.15, 0.3, 0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 38.4].filter((level) => level > floor);
    const ellipse = (level) => {
      const [long, short] = axes.map(({ lambda }) => Math.min(1e3, Math.sqrt((2 * (level - floor)) / Math.max(lambda, 1e-9))));
      const around = Array.from({ length: 72 }, (_, i) => {
        const [x, y] = [long * Math.cos((i * Math.PI) / 36), short * Math.sin((i * Math.PI) / 36)];
        return onBowl([0, 1].map((k) => lowest[k] + x * axes[0].along[k] + y * axes[1].along[k]));
      });
      return svg("path", { d: `M${around.join("L")}Z` });
    };
    contours.replaceChildren(...levels.map(ellipse));
    cross.setAttribute("transform", `translate(${onBowl(lowest)})`);
    steps.setAttribute("d", `M${path.map(onBowl).join("L")}`);
    feet.replaceChildren(
      ...path.slice(0, 300).map((foot) => svg("circle", { r: 2.4, transform: `translate(${onBowl(foot)})` })),
    );
    here.setAttribute("transform", `translate(${onBowl(line)})`);
    here.setAttribute("aria-label", `This line on the map: w ${fixed(line[0])}, b ${fixed(line[1])}. Arrow keys move the start.`);
  };

  const which = choice({
    label: "points",
    among: [["some", "25 of the chapter"], ["all", "all 100 of the chapter"], ["pencil", "the pencil's two"], ["own", "as you moved them"]],
    value: "some",
    onchange: (now) => (now === "own" ? movePoint(0, ...points[0]) : tell({ points: now })),
  });
  const speed = slider({
    label: "learning rate \u03b7",
    from: 0.005,
    to: 1,
    step: 0.005,
    value: rate(),
    show: (value) => `${value.toFixed(3)}${bowl && value > bowl.limit ? ", too large" : ""}`,
    onchange: (now) => tell({ learning_rate: now }),
  });
  const numbers = element("p", { class: "nnkit-line-numbers" });
  const unread = element("p", { class: "nnkit-line-unread", role: "status" });
  el.append(
    element("div", { class: "nnkit-line-planes" }, left.element, right.element),
    numbers,
    row(button({ text: "Step", onclick: oneStep }), playing, button({ text: "Reset", label: "Reset: back to the start of the descent", onclick: again }), which),
    speed,
    unread,
  );
  const words = speaker(el);
  followPoints();
  speed.value = rate(); // Its words need the limit of these points.
  const heard = { points: followPoints, w: followLine, b: followLine, learning_rate: followRate };
  const unheard = hears(model, heard);
  return () => {
    stop();
    unheard();
  };
}

export default { render, settings };
