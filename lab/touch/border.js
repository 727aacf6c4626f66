// Two weights as an arrow that is turned and stretched: the border stands across it, and its length is how bold it is.
import { button, element, hears, row, slider, speaker, still, svg } from "./parts.js";
import { plane, dragging, handle } from "./axes.js";

export const settings = {
  d1: { from: -15, to: 15 },
  d2: { from: -15, to: 15 },
  bias: { from: -40, to: 40 },
  learning_rate: { from: 0.1, to: 10 },
};

const borderScale = 0.45; // a weight of 1 is drawn as long as 0.45 of a feature

// Shares of class 1 from 0 to 1, as a smooth step.
const borderSigmoid = (z) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));

// The price -log p of a point, for the probability p of the class that is right; z is the difference of the logits.
// It is log(1 + e^-z) for class 1 and log(1 + e^z) for class 0, and no exponential here is above 1.
function borderPrice(z, y) {
  const against = y === 1 ? -z : z;
  return Math.max(against, 0) + Math.log1p(Math.exp(-Math.abs(against)));
}

export function render({ model, el }) {
  const { x1, x2, y, best } = model.get("data");
  const n = y.length;
  let d = [model.get("d1"), model.get("d2")];
  let bias = model.get("bias");
  let start = [...d, bias];
  let foot = [0, 0]; // the point of the border at which the arrow stands
  let taken = 0;
  let timer = 0;
  const length = () => Math.hypot(...d);
  const difference = (first, second) => first * d[0] + second * d[1] + bias; // z = x d + b
  const losses = () => y.map((each, i) => borderPrice(difference(x1[i], x2[i]), each));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const bind = (low, value, high) => Math.min(high, Math.max(low, value));
  const fixed = (value, digits = 2) => value.toFixed(digits).replace(/^-(?=.*[1-9])/, "\u2212").replace(/^-/, "");

  const left = plane({ width: 300, height: 276, x: [-4.5, 4.5], y: [-4, 4], every: [2, 2], xName: "feature 1", yName: "feature 2", label: "The points, the border and the arrow" });
  const right = plane({ width: 236, height: 276, x: [-4, 4], y: [-0.08, 1.08], every: [2, 0.5], xName: "distance from the border", yName: "probability of class 1", label: "Across the border" });

  // The ground shows the probability in eleven steps, which read as contours.
  const ground = svg("g", {});
  const bars = svg("path", { style: "stroke: var(--touch-red); fill: none", "stroke-width": 2, "stroke-opacity": 0.7 });
  const points = svg("g", { "stroke-width": 0.8 });
  const border = svg("path", { style: "stroke: var(--touch-ink); fill: none", "stroke-width": 1.5, "stroke-dasharray": "5 3" });
  const shaft = svg("path", { style: "stroke: var(--touch-ink); fill: none", "stroke-width": 3 });
  const hold = () => svg("circle", { r: 22, fill: "transparent", style: "touch-action: none" });
  const base = handle(
    "",
    (across, up) => shift(0.1 * (Math.abs(up) > Math.abs(across) ? up : across)),
    hold(),
    svg("circle", { r: 7, style: "fill: var(--touch-paper); stroke: var(--touch-ink); stroke-width: 2.5" }),
  );
  const tip = handle(
    "",
    (across, up) => {
      const angle = Math.atan2(d[1], d[0]) - (across * Math.PI) / 36;
      const long = bind(0.1, length() + 0.2 * up, 15);
      aim([long * Math.cos(angle), long * Math.sin(angle)]);
    },
    hold(),
    svg("path", { d: "M10 0L-7 7L-7 -7Z", style: "fill: var(--touch-ink); stroke: var(--touch-paper); stroke-width: 1" }),
  );
  const classMark = (i, across, up) =>
    y[i] === 1
      ? svg("rect", { x: across - 2.4, y: up - 2.4, width: 4.8, height: 4.8 })
      : svg("circle", { cx: across, cy: up, r: 2.7 });
  const classStyle = (i) => `fill: var(--touch-${y[i] === 1 ? "orange" : "blue"}); stroke: var(--touch-paper)`;
  y.forEach((_, i) => {
    const mark = classMark(i, left.X(x1[i]), left.Y(x2[i]));
    mark.setAttribute("style", classStyle(i));
    points.append(mark);
  });
  const name = (text, x, y) => svg("text", { x, y, "font-size": 13, style: "fill: var(--touch-ink)" }, text);
  left.inside.append(ground, bars, points, border, shaft, base, tip);
  left.inside.append(name("class 0, round", 8, left.room.height - 10), name("class 1, square", left.room.width - 100, 18));

  const middle = svg("path", { style: "stroke: var(--touch-line)", d: `M${right.X(0)} 0V${right.room.height}M0 ${right.Y(0.5)}H${right.room.width}` });
  const curve = svg("path", { style: "stroke: var(--touch-ink); fill: none", "stroke-width": 2.5 });
  const ticks = ["blue", "orange"].map((color) => svg("path", { style: `stroke: var(--touch-${color}); fill: none`, "stroke-width": 1.5 }));
  right.inside.append(middle, ...ticks, curve);

  // The hand: the border turns about the foot of the arrow, and keeps its place while the arrow is stretched.
  const aim = ([first, second]) => {
    stop();
    const long = bind(0.1, Math.hypot(first, second), 15);
    const angle = Math.atan2(second, first);
    d = [bind(-15, long * Math.cos(angle), 15), bind(-15, long * Math.sin(angle), 15)];
    bias = bind(-40, -(d[0] * foot[0] + d[1] * foot[1]), 40);
    byHand("The arrow");
  };
  const shift = (along) => {
    stop();
    // Further along the arrow by so much, the difference of the logits is as much larger as the arrow is long.
    bias = bind(-40, bias - along * length(), 40);
    byHand("The border");
  };
  const byHand = (what) => {
    start = [...d, bias];
    taken = 0;
    show();
    say(`${what}: d is (${fixed(d[0])}, ${fixed(d[1])}), of length ${fixed(length())}, and b is ${fixed(bias)}. The mean cross-entropy is ${fixed(mean(losses()), 4)}.`);
  };
  dragging(left, {
    take(place, event) {
      const far = ([x, y]) => Math.hypot(left.X(x) - left.X(place.x), left.Y(y) - left.Y(place.y));
      const ends = [{ handle: tip, far: far(tipAt()) }, { handle: base, far: far(foot) }];
      const near = ends[1].far < ends[0].far ? ends[1] : ends[0];
      return near.far < (event.pointerType === "mouse" ? 18 : 28) ? near : null;
    },
    move({ handle: held }, { x, y: up }) {
      const place = [bind(-4.5, x, 4.5), bind(-4, up, 4)];
      if (held === tip) return aim([(place[0] - foot[0]) / borderScale, (place[1] - foot[1]) / borderScale]);
      stop();
      foot = place; // The border goes where it is put, and the arrow keeps its direction.
      bias = bind(-40, -(d[0] * foot[0] + d[1] * foot[1]), 40);
      byHand("The border");
    },
  });
  const tipAt = () => [foot[0] + borderScale * d[0], foot[1] + borderScale * d[1]];

  // Gradient descent on the mean cross-entropy, with all points in each step.
  const step = () => {
    const forD = [0, 0];
    let forBias = 0;
    y.forEach((each, i) => {
      const g = (borderSigmoid(difference(x1[i], x2[i])) - each) / n; // what it said, less what was right
      forD[0] += x1[i] * g;
      forD[1] += x2[i] * g;
      forBias += g;
    });
    const rate = model.get("learning_rate");
    d = d.map((weight, k) => bind(-15, weight - rate * forD[k], 15));
    bias = bind(-40, bias - rate * forBias, 40);
    taken += 1;
  };
  const count = () => `${taken} ${taken === 1 ? "step" : "steps"}`;
  const report = () => {
    const share = length() / Math.hypot(best.d1, best.d2);
    const turned = Math.abs(Math.atan2(d[0] * best.d2 - d[1] * best.d1, d[0] * best.d1 + d[1] * best.d2)) * (180 / Math.PI);
    say(`After ${count()} the arrow has ${fixed(100 * share, 0)} % of the best length, and its direction is off by ${fixed(turned, 0)} ${fixed(turned, 0) === "1" ? "degree" : "degrees"}. The mean cross-entropy is ${fixed(mean(losses()), 4)}; the lowest possible is ${fixed(best.loss, 4)}.`);
  };
  const oneStep = () => {
    stop();
    step();
    show();
    report();
  };
  const play = () => {
    if (timer) {
      stop();
      return report();
    }
    if (still()) {
      for (let i = 0; i < 300; i += 1) step();
      show();
      return report();
    }
    playing.textContent = "Pause";
    const end = taken + 300;
    timer = setInterval(() => {
      if (!el.isConnected) return stop();
      step();
      show();
      if (taken < end) return;
      stop();
      report();
    }, 50);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    playing.textContent = "Let gradient descent do it";
  };
  const again = () => {
    stop();
    [d, bias, taken] = [start.slice(0, 2), start[2], 0];
    show();
    say("Back where the hand left the arrow.");
  };

  let telling = false;
  const show = () => {
    telling = true;
    model.set("d1", d[0]);
    model.set("d2", d[1]);
    model.set("bias", bias);
    telling = false;
    model.save_changes();
    draw();
  };
  const follow = () => {
    if (telling) return;
    stop();
    d = [model.get("d1"), model.get("d2")];
    bias = model.get("bias");
    start = [...d, bias];
    taken = 0;
    draw();
    say(`d is (${fixed(d[0])}, ${fixed(d[1])}), and b is ${fixed(bias)}. The mean cross-entropy is ${fixed(mean(losses()), 4)}.`);
  };
  const followRate = () => (speed.value = model.get("learning_rate"));

  const draw = () => {
    const long = Math.max(length(), 1e-9);
    const unit = d.map((weight) => weight / long);
    // Stay on the border, as close as possible to where the arrow stood, and in sight.
    const off = difference(...foot) / long;
    foot = long > 1e-6 ? foot.map((value, k) => value - off * unit[k]) : foot;
    const seen = [bind(-4.3, foot[0], 4.3), bind(-3.8, foot[1], 3.8)];
    const turn = (Math.atan2(-d[1], d[0]) * 180) / Math.PI; // down is positive on a screen
    const unitLong = left.X(1) - left.X(0);
    const where = `translate(${left.X(foot[0])} ${left.Y(foot[1])}) rotate(${turn})`;

    const stripes = [];
    for (let i = 0; i < 11; i += 1) {
      // From one share to the next: the distance at which the sigmoid reaches it.
      const at = (p) => (p <= 0 ? -30 : p >= 1 ? 30 : bind(-30, Math.log(p / (1 - p)) / long, 30));
      const [from, to] = [at(i / 11) * unitLong, at((i + 1) / 11) * unitLong];
      const color = i < 5 ? "blue" : "orange";
      stripes.push(
        svg("rect", { x: from, y: -900, width: Math.max(0, to - from), height: 1800, style: `fill: var(--touch-${color})`, "fill-opacity": Math.abs(i - 5) * 0.07 }),
      );
    }
    ground.replaceChildren(...stripes);
    ground.setAttribute("transform", where);
    border.setAttribute("transform", where);
    border.setAttribute("d", "M0 -900V900");

    const prices = losses();
    // A price of 1 is a bar of 12 pixels, upwards from the point; one of 5 or more is cut at 60.
    bars.setAttribute("d", prices.map((price, i) => `M${(left.X(x1[i]) + 4.5).toFixed(1)} ${left.Y(x2[i]).toFixed(1)}v${(-12 * Math.min(5, price)).toFixed(2)}`).join(""));
    base.setAttribute("transform", `translate(${left.X(seen[0])} ${left.Y(seen[1])})`);
    const [tipX, tipY] = tipAt();
    tip.setAttribute("transform", `translate(${bind(8, left.X(tipX), left.room.width - 8)} ${bind(8, left.Y(tipY), left.room.height - 8)}) rotate(${turn})`);
    shaft.setAttribute("d", `M${left.X(foot[0])} ${left.Y(foot[1])}L${left.X(tipX)} ${left.Y(tipY)}`);
    const angle = (Math.atan2(d[1], d[0]) * 180) / Math.PI;
    tip.setAttribute("aria-label", `Tip of the arrow: length ${fixed(length())}, direction ${fixed(angle, 0)} degrees. Left and right turn it, up and down stretch it.`);
    base.setAttribute("aria-label", `Foot of the arrow, on the border: b ${fixed(bias)}. Arrow keys move the border along the arrow.`);

    const steps = Array.from({ length: 161 }, (_, i) => -4 + i / 20);
    curve.setAttribute("d", `M${steps.map((t) => `${right.X(t).toFixed(1)} ${right.Y(borderSigmoid(t * long)).toFixed(1)}`).join("L")}`);
    for (const k of [0, 1]) {
      const own = y.flatMap((each, i) => (each === k ? [difference(x1[i], x2[i]) / long] : []));
      ticks[k].setAttribute("d", own.map((t) => `M${right.X(bind(-4.2, t, 4.2)).toFixed(1)} ${right.Y(k).toFixed(1)}v${k ? -8 : 8}`).join(""));
    }
    const rights = y.filter((each, i) => (difference(x1[i], x2[i]) > 0 ? 1 : 0) === each).length;
    numbers.textContent = `d = (${fixed(d[0])}, ${fixed(d[1])}), length ${fixed(length())}, b = ${fixed(bias)}. Mean cross-entropy ${fixed(mean(prices), 4)}, the worst point pays ${fixed(Math.max(...prices))}, right on ${rights} of ${n}, ${count()}.`;
    move.value = bind(-20, bias, 20);
  };

  const playing = button({ text: "Let gradient descent do it", onclick: play });
  const move = slider({
    label: "bias b",
    from: -20,
    to: 20,
    step: 0.1,
    value: 0,
    show: (value) => fixed(value, 1),
    onchange: (now) => {
      stop();
      bias = now;
      byHand("The border");
    },
  });
  const speed = slider({
    label: "learning rate \u03b7",
    from: 0.1,
    to: 10,
    step: 0.1,
    value: model.get("learning_rate"),
    show: (value) => value.toFixed(1),
    onchange: (now) => {
      model.set("learning_rate", now);
      model.save_changes();
    },
  });
  const numbers = element("p", { class: "nnkit-border-numbers" });
  el.append(
    element("div", { class: "nnkit-border-planes" }, left.element, right.element),
    numbers,
    row(button({ text: "Step", onclick: oneStep }), button({ text: "Reset", label: "Reset: back where the hand left the arrow", onclick: again }), playing),
    move,
    speed,
  );
  const say = speaker(el);
  draw();
  say("Drag the tip of the arrow to turn and stretch it, and its foot to move the border. A red bar beside a point is the price that it pays.");
  const heard = { d1: follow, d2: follow, bias: follow, learning_rate: followRate };
  const unheard = hears(model, heard);
  return () => {
    stop();
    unheard();
  };
}

export default { render, settings };
