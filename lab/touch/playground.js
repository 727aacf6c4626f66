// A small network learns to tell two classes of points in the plane, and shows how it sees them meanwhile.
import { atOnce, button, canvas, choice, element, frames, hears, normal, onTheme, palette, random, row, slider, speaker, still, svg } from "./parts.js";
import { Linear, ReLU, Tanh, Sigmoid, Sequential, MSELoss, BCEWithLogitsLoss, SGD, Adam, sigmoid } from "./net.js";

export const settings = {
  data: { among: ["xor", "blobs", "circles", "moons", "spirals", "own"] },
  points: { text: true },
  width: { from: 1, to: 8, whole: true },
  depth: { from: 0, to: 3, whole: true },
  activation: { among: ["tanh", "sigmoid", "relu"] },
  learning_rate: { from: 0.0001, to: 10 },
  batch_size: { from: 1, to: 300, whole: true },
  optimizer: { among: ["sgd", "momentum", "adam"] },
  weight_decay: { from: 0, to: 1 },
  criterion: { among: ["squared", "cross_entropy"] },
  seed: { from: 0, to: 99, whole: true },
  noise: { from: 0, to: 0.5 },
  count: { from: 4, to: 300, whole: true },
  held_out: { from: 0, to: 300, whole: true },
  epochs: { from: 1, to: 20000, whole: true },
};

const playgroundMost = 300; // Points; more than that are slow to drag, and too long for an address.
const playgroundReach = 4; // How far from the middle a point may lie.

// What is seen of the plane: its lower left corner and its side.
const playgroundPlanes = {
  xor: [-0.5, -0.5, 2],
  circles: [-1.6, -1.6, 3.2],
  moons: [-1.75, -2, 4.5],
  spirals: [-2.6, -2.6, 5.2],
  blobs: [-4, -4, 8],
};

// Points as [x1, x2, class]. XOR is the four corners of chapter 5; of the others, `count` are drawn.
export function playgroundPoints(data, count, noise, skip = 0) {
  if (data === "xor") return skip ? [] : [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]];
  const next = random(5);
  const points = [];
  for (let i = 0; i < skip + count; i++) {
    const label = i % 2;
    const along = next();
    const angle = Math.PI * along;
    let x = 0;
    let y = 0;
    let spread = noise;
    if (data === "blobs") {
      [x, y] = label ? [1.5, 1] : [-1.5, -1];
      spread = 8 * noise; // Clouds are wide by nature; with a noise of 0.1 they are those of chapter 2.
    } else if (data === "circles") {
      const radius = label ? 0.6 : 1.2;
      [x, y] = [radius * Math.cos(2 * angle), radius * Math.sin(2 * angle)];
    } else if (data === "moons") {
      [x, y] = label ? [1 - Math.cos(angle), 0.5 - Math.sin(angle)] : [Math.cos(angle), Math.sin(angle)];
    } else {
      const turned = 3 * angle + Math.PI * label;
      const radius = 0.15 + 2 * along;
      [x, y] = [radius * Math.cos(turned), radius * Math.sin(turned)];
    }
    // A point that would fall out of the plane is drawn once more.
    const [left, bottom, size] = playgroundPlanes[data];
    const inside = ([x1, x2]) => x1 > left && x1 < left + size && x2 > bottom && x2 < bottom + size;
    let point;
    do point = [x + spread * normal(next), y + spread * normal(next), label];
    while (!inside(point));
    points.push(point);
  }
  return points.slice(skip);
}

// Points from text such as "0,0,1;0.5,1,0", or an Error that says what is wrong with it.
export function playgroundRead(text) {
  const parts = text.split(";").map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length > playgroundMost) throw new Error(`There can be at most ${playgroundMost} points; got ${parts.length}.`);
  return parts.map((part, i) => {
    const numbers = part.split(",").map((number) => (number.trim() === "" ? NaN : Number(number)));
    const [x, y, label] = numbers;
    if (numbers.length !== 3 || numbers.some(Number.isNaN))
      throw new Error(`Point ${i + 1} must be three numbers, as in 0.5,1,0: x1, x2 and the class; got "${part}".`);
    if (!(Math.abs(x) <= playgroundReach && Math.abs(y) <= playgroundReach))
      throw new Error(`Point ${i + 1} must lie between -${playgroundReach} and ${playgroundReach} in both directions; got "${part}".`);
    if (label !== 0 && label !== 1) throw new Error(`The class of point ${i + 1} must be 0 or 1; got "${part}".`);
    return numbers;
  });
}

const playgroundWrite = (points) => points.map(([x, y, label]) => `${+x.toFixed(3)},${+y.toFixed(3)},${label}`).join(";");

// The smallest of the planes that holds all these points.
function playgroundPlane(points) {
  const holds = ([left, bottom, side]) =>
    points.every(([x, y]) => x >= left && x <= left + side && y >= bottom && y <= bottom + side);
  return Object.values(playgroundPlanes).find(holds) ?? playgroundPlanes.blobs;
}

// A network and its training: from the same weights and in the same batches, what nnkit computes.
export class PlaygroundRun {
  constructor({ width, depth, activation, criterion, seed }) {
    const next = random(seed);
    const Bend = { tanh: Tanh, sigmoid: Sigmoid, relu: ReLU }[activation];
    const modules = [];
    for (let layer = 0; layer < depth; layer++) modules.push(new Linear(layer ? width : 2, width, { next }), new Bend());
    modules.push(new Linear(depth ? width : 2, 1, { next }));
    this.squared = criterion === "squared";
    if (this.squared) modules.push(new Sigmoid());
    this.network = new Sequential(modules);
    this.criterion = this.squared ? new MSELoss() : new BCEWithLogitsLoss();
    this.depth = depth;
    this.last = modules[2 * depth]; // The output layer.
    this.next = random(seed + 1000); // For the order of the batches.
    this.epoch = 0;
    this.position = 0; // Of the batch within the epoch.
    this.steps = 0;
    this.curve = []; // The losses after every `every` epochs.
    this.every = 1;
  }

  layers() {
    return this.network.modules
      .filter((module) => module instanceof Linear)
      .map(({ weight, bias, inFeatures, outFeatures }) => ({
        weight: Array.from({ length: inFeatures }, (_, i) => [...weight.data.slice(i * outFeatures, (i + 1) * outFeatures)]),
        bias: [...bias.data],
      }));
  }

  optimize({ optimizer, learning_rate: lr, weight_decay: weightDecay }) {
    const parameters = this.network.parameters();
    if (optimizer === "adam") this.optimizer = new Adam(parameters, { lr, weightDecay });
    else this.optimizer = new SGD(parameters, { lr, weightDecay, momentum: optimizer === "momentum" ? 0.9 : 0 });
  }

  learnFrom(points, heldOut) {
    this.points = points;
    this.heldOut = heldOut;
    this.position = 0;
    this.order = points.map((_, i) => i);
    this.measure();
  }

  // One batch. All points at once keep their order, in which nothing is left to chance.
  step(batchSize) {
    const { points, order, network, criterion, optimizer } = this;
    if (this.position === 0 && batchSize < points.length)
      for (let i = points.length - 1; i > 0; i--) {
        const j = Math.floor(this.next() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
    const batch = order.slice(this.position, this.position + batchSize).map((i) => points[i]);
    const n = batch.length;
    const x = Float64Array.from(batch.flatMap(([x1, x2]) => [x1, x2]));
    const target = Float64Array.from(batch, (point) => point[2]);
    criterion.forward(network.forward(x, n), target, n);
    optimizer.zeroGrad();
    network.accumulate(criterion.backward(), n);
    optimizer.step();
    this.steps += 1;
    this.position += n;
    if (this.position < points.length) return false;
    this.position = 0;
    this.epoch += 1;
    return true;
  }

  // The loss of the weights as they are, over all points, and how many points are on the wrong side.
  lossOf(points) {
    const n = points.length;
    if (!n) return { loss: null, wrong: 0 };
    const x = Float64Array.from(points.flatMap(([x1, x2]) => [x1, x2]));
    const target = Float64Array.from(points, (point) => point[2]);
    const output = this.network.forward(x, n);
    const border = this.squared ? 0.5 : 0;
    let wrong = 0;
    for (let i = 0; i < n; i++) if (output[i] > border !== (target[i] === 1)) wrong += 1;
    return { loss: this.criterion.forward(output, target, n), wrong };
  }

  measure() {
    Object.assign(this, this.lossOf(this.points));
    ({ loss: this.heldOutLoss, wrong: this.heldOutWrong } = this.lossOf(this.heldOut));
    if (this.loss === null || this.position || this.epoch % this.every) return;
    this.curve.length = this.epoch / this.every;
    this.curve.push([this.loss, this.heldOutLoss]);
    if (this.curve.length <= 4000) return;
    this.curve = this.curve.filter((_, i) => i % 2 === 0);
    this.every *= 2;
  }

  // The loss that many epochs ago, or null if there was none yet.
  lossBefore(epochs) {
    const i = Math.round((this.epoch - epochs) / this.every);
    return i >= 0 && i < this.curve.length ? this.curve[i][0] : null;
  }

  // Whether the loss has hardly changed for a third of all epochs, and for 300 at least.
  flat() {
    const before = this.lossBefore(Math.max(300, Math.round(this.epoch / 3)));
    return before !== null && Math.abs(before - this.loss) < 0.02 * this.loss;
  }

  // What each module gives for these rows.
  outputs(x) {
    let output = x;
    return this.network.modules.map((module) => (output = module.forward(output, x.length / 2)));
  }

  probability(outputs) {
    const output = outputs.at(-1);
    return this.squared ? output : output.map(sigmoid);
  }
}

// What to say of a run. The levels are those that chapter 5 measures for XOR's squared error.
export function playgroundVerdict(run, { data, depth }) {
  const { loss, wrong, points, epoch } = run;
  const n = points.length;
  const all = n === 4 ? "all four points" : `all ${n} points`;
  const some = playgroundWrong(wrong, n);
  if (!(loss < 1e6)) return "The numbers have grown too large to go on. Choose a smaller learning rate and press Reset.";
  const near = (level) => data === "xor" && run.squared && Math.abs(loss - level) < 0.005;
  if (epoch && wrong === 0 && run.heldOut.length) return `All ${n} points are on the right side. And the held-out points?`;
  if (epoch && wrong === 0 && loss < 0.05) return `Solved: ${all} are on the right side, and the loss is below 0.05.`;
  if (!epoch || !wrong) return "";
  // A hidden layer leaves this level sooner or later, however flat it is.
  if (near(1 / 4) && depth && epoch > 20)
    return "On the plateau: the loss is near 1/4, which is that of the answer one half for every point. Go on.";
  if (!run.flat()) return "";
  const hardly = `the loss hardly changes, and ${some}.`;
  if (near(1 / 8))
    return `Stuck near 1/8: ${hardly} Two points are right; the other two, one of each class, both get one half.`;
  if (near(1 / 6))
    return `Stuck near 1/6: ${hardly} One corner is cut off, and the other three all get two thirds or one third.`;
  if (near(1 / 4)) return `Stuck near 1/4: ${hardly} A single line can do no better than one half for every point.`;
  return `${data === "xor" ? "Stuck" : "Stuck, or as good as it gets here"}: ${hardly}`;
}

const playgroundWrong = (wrong, n) => `${wrong} of ${n} points ${wrong === 1 ? "is" : "are"} wrong`;

const playgroundNumber = (value) => (value === null ? "none" : value >= 0.001 || value === 0 ? value.toFixed(4) : value.toExponential(1));

const playgroundTexts = {
  data: [["xor", "XOR"], ["blobs", "Blobs"], ["circles", "Circles"], ["moons", "Moons"], ["spirals", "Spirals"], ["own", "Own points"]],
  activation: [["tanh", "tanh"], ["sigmoid", "sigmoid"], ["relu", "ReLU"]],
  optimizer: [["sgd", "SGD"], ["momentum", "momentum"], ["adam", "Adam"]],
  criterion: [["squared", "squared error"], ["cross_entropy", "cross-entropy"]],
  learning_rate: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1, 3].map((rate) => [rate, String(rate)]),
  batch_size: [[1, "1"], [2, "2"], [4, "4"], [8, "8"], [16, "16"], [32, "32"], [300, "all points"]],
  weight_decay: [0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1].map((decay) => [decay, String(decay)]),
  epochs: [100, 500, 1000, 2000, 5000, 20000].map((epochs) => [epochs, epochs.toLocaleString("en")]),
};

// The lines of a picture where values, in rows from above, cross a level: for each cell one line or two, as x1, y1, x2, y2.
function playgroundContour(values, size, level) {
  const lines = [];
  const at = (column, line) => values[line * size + column] - level;
  for (let line = 0; line + 1 < size; line++)
    for (let column = 0; column + 1 < size; column++) {
      const corners = [[column, line], [column + 1, line], [column + 1, line + 1], [column, line + 1]];
      const crossings = [];
      corners.forEach(([c, l], i) => {
        const [d, m] = corners[(i + 1) % 4];
        const [here, there] = [at(c, l), at(d, m)];
        if (here > 0 === there > 0) return;
        const share = here / (here - there);
        crossings.push(c + share * (d - c), l + share * (m - l));
      });
      for (let i = 0; i + 3 < crossings.length; i += 4) lines.push(crossings.slice(i, i + 4));
    }
  return lines;
}

export function render({ model, el }) {
  const grid = 40; // The surface is computed at 40 x 40 places.
  const inset = { left: 30, top: 6, side: 248 }; // Of the square in the 284 pixels of a picture.
  const now = () => Object.fromEntries(Object.keys(settings).map((name) => [name, model.get(name)]));
  let run = null;
  let plane = playgroundPlanes.xor;
  let points = [];
  let heldOut = [];
  let kept = ""; // The reader's own points, while other data are looked at.
  let complaint = ""; // What is wrong with the points in the address.
  let chosen = -1; // The point that keys move and the button removes.
  let cursor = null; // Where keys add a point, in the plane.
  let label = 1; // The class of the next point.
  let target = 0; // The epoch at which playing ends.
  let pace = 5; // Epochs a frame.
  let applied = {};

  // The controls.
  const change = (name, value) => {
    if (name === "data") return changeData(value);
    model.set(name, value);
    model.save_changes();
  };
  const changeData = (value) => {
    if (model.get("data") === "own") kept = model.get("points");
    if (value === "own") model.set("points", kept || playgroundWrite(points));
    else model.set("points", "");
    model.set("data", value);
    model.save_changes();
  };
  const controls = {};
  const select = (name, label) => {
    const holder = element("div", {});
    const show = (value) => {
      const known = playgroundTexts[name];
      const among = known.some(([each]) => each === value) ? known : [...known, [value, String(value)]];
      holder.replaceChildren(choice({ label, among, value, onchange: (chosen) => change(name, chosen) }));
    };
    show(model.get(name));
    controls[name] = (value) => {
      if (String(value) !== holder.querySelector("select").value) show(value);
    };
    return holder;
  };
  const slide = (name, label, step, { from, to } = settings[name]) => {
    const made = slider({ label, from, to, step, value: model.get(name), onchange: (value) => change(name, value) });
    controls[name] = (value) => {
      if (made.value !== value) made.value = value;
    };
    return made;
  };
  const play = button({ text: "Play", onclick: () => (clock.running ? pause() : start()) });
  const step = button({ text: "One step", onclick: () => once(() => run.step(model.get("batch_size"))) });
  const epoch = button({ text: "One epoch", onclick: () => once(oneEpoch) });
  const reset = button({ text: "Reset", onclick: () => rebuild() });
  const another = button({
    text: "Another seed",
    onclick: () => change("seed", (model.get("seed") + 1) % (settings.seed.to + 1)),
  });
  const speed = choice({
    label: "Speed",
    among: [[1, "slow"], [5, "medium"], [Infinity, "fast"]],
    value: pace,
    onchange: (value) => (pace = value),
  });
  const classes = [0, 1].map((each) =>
    button({ text: `Class ${each}`, pressed: each === label, onclick: () => paint(each) }),
  );
  const remove = button({ text: "Remove the point", onclick: () => removed(chosen) });
  const clear = button({ text: "Remove all", onclick: () => edited([], "All points are gone.") });

  // The pictures.
  const surface = canvas({
    width: 284,
    height: 284,
    label: "The plane with the points. N and P choose a point, arrows move it, Delete removes it, Enter adds one.",
  });
  surface.setAttribute("role", "application");
  surface.setAttribute("tabindex", "0");
  const fold = canvas({ width: 284, height: 284, label: "The grid of the plane as the two hidden units see it, with the points." });
  const flat = element("p", { class: "nnkit-touch-playground-note" });
  const curve = canvas({ width: 284, height: 150, label: "The loss after each epoch so far, as a curve." });
  const unitsHolder = element("div", {});
  let units = null;
  const numbers = element("p", { class: "nnkit-touch-playground-numbers" });
  const figure = (caption, ...drawn) =>
    element("figure", {}, element("figcaption", { text: caption }), ...drawn);
  const foldFigure = figure("As the last hidden layer sees it", fold);
  const unitsFigure = figure("Each hidden unit, low to high", unitsHolder);
  const key = element(
    "p",
    { class: "nnkit-touch-playground-key" },
    sign(0),
    "class 0, ",
    sign(1),
    "class 1. Colour is the probability of class 1, the line where it is one half. A click adds a point, and a point can be " +
      "dragged. By keyboard: N and P choose a point, arrows move it, Enter adds one at the cross, Delete removes.",
  );
  const drawnOnly = row(slide("noise", "Noise", 0.01), slide("count", "Points", 1), slide("held_out", "Held-out points", 1));
  el.classList.add("nnkit-touch-playground-all");
  el.append(
    row(select("data", "Data"), play, step, epoch, reset, another, speed),
    numbers,
  );
  const say = speaker(el);
  const pictures = element(
    "div",
    { class: "nnkit-touch-playground" },
    figure("The plane", surface),
    foldFigure,
    unitsFigure,
    figure("The loss", curve),
  );
  el.append(
    pictures,
    flat,
    row(...classes, remove, clear),
    key,
    row(slide("width", "Width (units)", 1), slide("depth", "Depth (layers)", 1), slide("seed", "Seed", 1)),
    row(
      select("activation", "Activation"),
      select("learning_rate", "Learning rate"),
      select("optimizer", "Optimizer"),
      select("batch_size", "Batch size"),
      select("weight_decay", "Weight decay"),
    ),
    element(
      "details",
      {},
      element("summary", { text: "More settings" }),
      row(select("criterion", "Loss"), select("epochs", "Epochs of one Play")),
      drawnOnly,
    ),
  );

  function sign(each) {
    const look = { class: `nnkit-touch-playground-sign-${each}` };
    const shape = each ? svg("rect", { x: 2, y: 2, width: 10, height: 10, ...look }) : svg("circle", { cx: 7, cy: 7, r: 5.5, ...look });
    return svg("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" }, shape);
  }

  // Training.
  const oneEpoch = () => {
    while (!run.step(model.get("batch_size")));
  };
  const ready = () => {
    if (points.length && run.loss < 1e6) return true;
    if (!points.length) say(complaint || "There are no points to learn from. Click into the plane to add one.");
    return false;
  };
  const once = (work) => {
    pause();
    if (!ready()) return;
    work();
    run.measure();
    settle();
  };
  let drawnAt = 0;
  const clock = frames(
    () => {
      // As many epochs as the pace allows, and no longer than a frame can bear.
      const quota = still() ? Infinity : pace;
      const end = performance.now() + 8;
      for (let done = 0; done < quota && performance.now() < end; ) {
        if (!run.step(model.get("batch_size"))) continue;
        run.measure();
        done += 1;
        if (!(run.loss < 1e6) || run.epoch >= target) return false;
      }
      return true;
    },
    {
      el,
      slice: 0,
      onframe: () => {
        if (!clock.running) return pause();
        // Where nothing should move, a picture a second shows that it goes on.
        const wait = still() ? 1000 : 0;
        if (performance.now() - drawnAt < wait) return undefined;
        drawnAt = performance.now();
        tell(false);
        publish(250);
        return draw();
      },
    },
  );
  const start = () => {
    if (!ready()) return;
    target = run.epoch < model.get("epochs") ? model.get("epochs") : run.epoch + model.get("epochs");
    drawnAt = performance.now();
    play.textContent = "Pause";
    clock.start();
  };
  const pause = () => {
    clock.stop();
    if (play.textContent === "Play") return;
    play.textContent = "Play";
    settle();
  };
  const settle = () => {
    tell(true);
    publish(0);
    draw();
  };
  // Says what there is to say of the run, once; other sentences stay until that changes.
  let told = null;
  const tell = (rests) => {
    let verdict = points.length ? playgroundVerdict(run, now()) : "There are no points yet. Click into the plane to add one.";
    if (complaint && !run.epoch) verdict = complaint;
    else if (!verdict && !run.steps) verdict = "Press Play, and watch the border find its way.";
    else if (!verdict && rests)
      verdict = `After ${run.epoch.toLocaleString("en")} ${run.epoch === 1 ? "epoch" : "epochs"}, ${playgroundWrong(run.wrong, points.length)}.`;
    if (verdict !== told) say(verdict);
    told = verdict;
  };
  // What Python can read; a notebook need not hear of it at every frame.
  let publishedAt = 0;
  const publish = (wait) => {
    if (performance.now() - publishedAt < wait) return;
    publishedAt = performance.now();
    model.set("loss", Number.isFinite(run.loss) ? run.loss : null);
    model.set("held_out_loss", Number.isFinite(run.heldOutLoss) ? run.heldOutLoss : null);
    model.set("epoch", run.epoch);
    model.set("wrong", run.wrong);
    model.save_changes();
  };

  // From the settings to points and a network. A change of the learning rate need not start anew.
  const rebuild = () => {
    clock.stop();
    play.textContent = "Play";
    run = new PlaygroundRun(now());
    run.optimize(now());
    run.learnFrom(points, heldOut);
    told = null;
    model.set("start", run.layers());
    model.set("samples", points.map((point) => [...point]));
    settle();
  };
  const takePoints = ({ data, points: text, count, noise, held_out: more }) => {
    complaint = "";
    heldOut = [];
    chosen = -1;
    cursor = null;
    if (data === "own") {
      try {
        points = playgroundRead(text);
      } catch (error) {
        points = [];
        complaint = error.message;
      }
      plane = playgroundPlane(points);
      return;
    }
    if (text) complaint = "The points in the address are used only with data=own beside them.";
    points = playgroundPoints(data, count, noise);
    heldOut = more ? playgroundPoints(data, more, noise, count) : [];
    plane = playgroundPlanes[data];
  };
  const dataKey = ({ data, points: text, count, noise, held_out: more }) =>
    JSON.stringify(data === "own" ? [data, text] : [data, text, count, noise, more]);
  const netKey = ({ width, depth, activation, criterion, seed }) => JSON.stringify([width, depth, activation, criterion, seed]);
  let gone = false;
  const follow = () => {
    if (gone) return;
    const wanted = now();
    for (const [name, show] of Object.entries(controls)) show(wanted[name]);
    drawnOnly.hidden = wanted.data === "xor" || wanted.data === "own"; // These are not drawn at random.
    const [data, net] = [dataKey(wanted), netKey(wanted)];
    if (data !== applied.data) takePoints(wanted);
    if (data !== applied.data || net !== applied.net) {
      applied = { settings: wanted, data, net };
      layOut(wanted);
      rebuild();
      return;
    }
    if (wanted.optimizer !== applied.settings.optimizer) run.optimize(wanted);
    run.optimizer.lr = wanted.learning_rate;
    run.optimizer.weightDecay = wanted.weight_decay;
    if (wanted.batch_size !== applied.settings.batch_size) run.position = 0;
    applied.settings = wanted;
  };
  const later = atOnce(follow);

  // The reader's hand on the points.
  const paint = (each) => {
    label = each;
    classes.forEach((made, i) => made.setAttribute("aria-pressed", String(i === label)));
  };
  const repaint = (each) => {
    paint(each);
    if (chosen < 0) return say(`The next point will be of class ${label}.`);
    const changed = points.map((point, i) => (i === chosen ? [point[0], point[1], label] : point));
    return edited(changed, `Point ${chosen + 1} is of class ${label} now.`);
  };
  const keep = (value, i) => Math.min(plane[i] + plane[2], Math.max(plane[i], value));
  // Takes over changed points without starting anew, so that one sees the network follow.
  const moved = (changed) => {
    points = changed;
    heldOut = [];
    complaint = "";
    run.learnFrom(points, heldOut);
    ask();
  };
  const edited = (changed, sentence) => {
    moved(changed.map(([x, y, each]) => [+x.toFixed(3), +y.toFixed(3), each]));
    if (chosen >= points.length) chosen = -1;
    const text = playgroundWrite(points);
    applied.data = dataKey({ data: "own", points: text });
    model.set("points", text);
    model.set("data", "own");
    model.set("samples", points.map((point) => [...point]));
    say(sentence);
    publish(0);
  };
  const removed = (which) => {
    if (which < 0) return say("Choose a point first: tap it, or press N in the plane.");
    chosen = -1;
    return edited(points.filter((_, i) => i !== which), `Point ${which + 1} is gone. ${points.length - 1} are left.`);
  };
  const added = (x, y) => {
    if (points.length >= playgroundMost) return say(`There can be at most ${playgroundMost} points.`);
    chosen = points.length;
    return edited([...points, [keep(x, 0), keep(y, 1), label]], `Point ${points.length + 1}, class ${label}, at ${spot([x, y])}.`);
  };
  const spot = ([x, y]) => `${x.toFixed(2)}, ${y.toFixed(2)}`;
  const toScreen = ([x, y]) => [
    inset.left + ((x - plane[0]) / plane[2]) * inset.side,
    inset.top + (1 - (y - plane[1]) / plane[2]) * inset.side,
  ];
  const toPlane = (x, y) => [
    plane[0] + ((x - inset.left) / inset.side) * plane[2],
    plane[1] + (1 - (y - inset.top) / inset.side) * plane[2],
  ];
  let held = null;
  const press = (event) => {
    if (event.button > 0) return;
    const { x, y } = surface.place(event);
    const reach = event.pointerType === "mouse" ? 12 : 22;
    const away = points.map((point) => Math.hypot(toScreen(point)[0] - x, toScreen(point)[1] - y));
    const nearest = away.indexOf(Math.min(...away));
    surface.setPointerCapture(event.pointerId);
    cursor = null;
    if (nearest >= 0 && away[nearest] < reach) {
      chosen = nearest;
      const [px, py] = toScreen(points[chosen]);
      held = { dx: px - x, dy: py - y, moved: false };
      say(`Point ${chosen + 1} of ${points.length}, class ${points[chosen][2]}, at ${spot(points[chosen])}.`);
      ask();
      return;
    }
    held = { from: { x, y } }; // A finger that only scrolls the page must add nothing.
  };
  const drag = (event) => {
    if (!held) return;
    const { x, y } = surface.place(event);
    if (held.from) {
      if (Math.hypot(x - held.from.x, y - held.from.y) > 8) held = null;
      return;
    }
    const [px, py] = toPlane(x + held.dx, y + held.dy);
    const was = points[chosen];
    const there = [keep(px, 0), keep(py, 1), was[2]];
    if (!held.moved && Math.hypot(...toScreen(there).map((value, i) => value - toScreen(was)[i])) < 3) return;
    held.moved = true;
    moved(points.map((point, i) => (i === chosen ? there : point)));
  };
  const drop = () => {
    const { from, moved: dragged } = held ?? {};
    held = null;
    if (from) added(...toPlane(from.x, from.y));
    else if (dragged) edited(points, `Point ${chosen + 1} is at ${spot(points[chosen])} now.`);
  };
  const cancel = () => {
    if (held?.from) held = null;
    drop();
  };
  // Only a finger on a point drags it; elsewhere it scrolls the page.
  const grip = (event) => {
    if (held && !held.from) event.preventDefault();
  };
  const typed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const stride = (event.shiftKey ? 0.1 : 0.02) * plane[2];
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (ways[name]) {
      const [dx, dy] = ways[name];
      if (chosen >= 0) {
        const [x, y, each] = points[chosen];
        const there = [keep(x + dx * stride, 0), keep(y + dy * stride, 1), each];
        edited(points.map((point, i) => (i === chosen ? there : point)), `Point ${chosen + 1} is at ${spot(there)} now.`);
      } else {
        const [x, y] = cursor ?? [plane[0] + plane[2] / 2, plane[1] + plane[2] / 2];
        cursor = [keep(x + dx * stride, 0), keep(y + dy * stride, 1)];
        say(`The cross is at ${spot(cursor)}.`);
      }
    } else if (name === "n" || name === "p") {
      if (points.length) {
        chosen = name === "n" ? (chosen + 1) % points.length : (Math.max(chosen, 0) + points.length - 1) % points.length;
        cursor = null;
        say(`Point ${chosen + 1} of ${points.length}, class ${points[chosen][2]}, at ${spot(points[chosen])}.`);
      } else say("There are no points yet. Enter adds one at the cross.");
    } else if (name === "Enter" || name === " ") {
      if (chosen >= 0) {
        cursor = points[chosen].slice(0, 2);
        chosen = -1;
        say(`The point stays there. The cross is at ${spot(cursor)}; arrows move it, and Enter adds a point.`);
      } else {
        cursor ??= [plane[0] + plane[2] / 2, plane[1] + plane[2] / 2];
        added(...cursor);
      }
    } else if (name === "0" || name === "1") repaint(Number(name));
    else if (name === "Delete" || name === "Backspace") removed(chosen);
    else if (name === "Escape" && chosen >= 0) {
      chosen = -1;
      say("No point is chosen.");
    } else return;
    event.preventDefault();
    event.stopPropagation();
    ask();
  };
  surface.addEventListener("pointerdown", press);
  surface.addEventListener("pointermove", drag);
  surface.addEventListener("pointerup", drop);
  surface.addEventListener("pointercancel", cancel);
  surface.addEventListener("touchstart", grip, { passive: false });
  surface.addEventListener("keydown", typed);
  surface.addEventListener("focus", () => ask());
  surface.addEventListener("blur", () => ask());

  // Drawing.
  const small = element("canvas", { width: grid, height: grid });
  const pixels = small.getContext("2d");
  const image = pixels.createImageData(grid, grid);
  const numbersOf = new Map();
  const mixed = element("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  // Red, green and blue of a colour, however the theme writes it.
  const rgb = (color) => {
    if (!numbersOf.has(color)) {
      mixed.fillStyle = color;
      mixed.fillRect(0, 0, 1, 1);
      numbersOf.set(color, [...mixed.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
    }
    return numbersOf.get(color);
  };
  // Shares from 0 to 1 as colours: blue, paper, orange; drawn small, and scaled into a square.
  const paintShares = (context, share, colors, left, top, side) => {
    const [low, middle, high] = [colors.blue, colors.paper, colors.orange].map(rgb);
    for (let i = 0; i < grid * grid; i++) {
      const value = 2 * share(i) - 1;
      const end = value < 0 ? low : high;
      const weight = 0.55 * Math.min(1, Math.abs(value));
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = middle[c] + weight * (end[c] - middle[c]);
      image.data[4 * i + 3] = 255;
    }
    pixels.putImageData(image, 0, 0);
    context.save();
    context.beginPath();
    context.rect(left, top, side, side);
    context.clip();
    // The outermost places lie on the edge, so half a pixel hangs over.
    const pixel = side / (grid - 1);
    context.drawImage(small, left - pixel / 2, top - pixel / 2, side + pixel, side + pixel);
    context.restore();
  };
  const mark = (context, [x, y], each, colors, size, hollow = false) => {
    context.beginPath();
    if (each) context.rect(x - size * 0.9, y - size * 0.9, 1.8 * size, 1.8 * size);
    else context.arc(x, y, size, 0, 2 * Math.PI);
    context.fillStyle = hollow ? colors.paper : each ? colors.orange : colors.blue;
    context.strokeStyle = hollow ? (each ? colors.orange : colors.blue) : colors.paper;
    context.lineWidth = hollow ? 1.5 : 1;
    context.fill();
    context.stroke();
  };
  const axes = (context, colors, [left, bottom, side], [across, up]) => {
    context.strokeStyle = colors.quiet;
    context.lineWidth = 1;
    context.strokeRect(inset.left, inset.top, inset.side, inset.side);
    context.fillStyle = colors.quiet;
    context.font = "12px sans-serif";
    const written = (value) => String(+value.toFixed(1)).replace("-", "\u2212");
    const end = inset.top + inset.side;
    context.textBaseline = "top";
    context.textAlign = "left";
    context.fillText(written(left), inset.left, end + 5);
    context.textAlign = "center";
    context.fillText(across, inset.left + inset.side / 2, end + 5);
    context.textAlign = "right";
    context.fillText(written(left + side), inset.left + inset.side, end + 5);
    context.fillText(written(bottom + side), inset.left - 4, inset.top);
    context.textBaseline = "bottom";
    context.fillText(written(bottom), inset.left - 4, end);
    context.save();
    context.translate(inset.left - 8, inset.top + inset.side / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(up, 0, 0);
    context.restore();
  };
  const placesFor = new Map();
  const places = () => {
    if (!placesFor.has(plane)) {
      const x = new Float64Array(2 * grid * grid);
      for (let i = 0; i < grid * grid; i++) {
        x[2 * i] = plane[0] + (plane[2] * (i % grid)) / (grid - 1);
        x[2 * i + 1] = plane[1] + plane[2] * (1 - Math.floor(i / grid) / (grid - 1));
      }
      placesFor.set(plane, x);
    }
    return placesFor.get(plane);
  };
  const stroke = (context, color, width) => {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.stroke();
  };
  // The line where a surface is one half.
  const drawBorder = (context, values, colors) => {
    const scale = inset.side / (grid - 1);
    context.beginPath();
    for (const [x1, y1, x2, y2] of playgroundContour(values, grid, 0.5)) {
      context.moveTo(inset.left + x1 * scale, inset.top + y1 * scale);
      context.lineTo(inset.left + x2 * scale, inset.top + y2 * scale);
    }
    stroke(context, colors.ink, 1.75);
  };
  const drawSurface = (colors, outputs) => {
    const context = surface.begin();
    const probability = run.probability(outputs);
    paintShares(context, (i) => probability[i], colors, inset.left, inset.top, inset.side);
    drawBorder(context, probability, colors);
    const size = points.length <= 20 ? 7 : 4;
    for (const point of heldOut) mark(context, toScreen(point), point[2], colors, 3.5, true);
    for (const point of points) mark(context, toScreen(point), point[2], colors, size);
    context.beginPath();
    if (chosen >= 0) context.arc(...toScreen(points[chosen]), size + 5, 0, 2 * Math.PI);
    else if (cursor && document.activeElement === surface) {
      const [x, y] = toScreen(cursor);
      for (const [dx, dy] of [[8, 0], [0, 8]]) {
        context.moveTo(x - dx, y - dy);
        context.lineTo(x + dx, y + dy);
      }
    }
    stroke(context, colors.ink, 2);
    axes(context, colors, plane, ["x\u2081", "x\u2082"]);
  };
  // The grid of the input plane, carried into the plane of the two hidden units.
  const drawFold = (colors) => {
    const ends = [0, 1].map((i) => {
      const own = points.map((point) => point[i]);
      const [low, high] = own.length ? [Math.min(...own), Math.max(...own)] : [plane[i], plane[i] + plane[2]];
      const more = 0.1 * (high - low || 1);
      return [low - more, high + more];
    });
    const [lines, fine] = [9, 41];
    const between = ([low, high], share) => low + share * (high - low);
    const sheet = [];
    for (const turned of [0, 1])
      for (let line = 0; line < lines; line++)
        for (let i = 0; i < fine; i++) {
          const along = between(ends[1 - turned], i / (fine - 1));
          const fixed = between(ends[turned], line / (lines - 1));
          sheet.push(...(turned ? [along, fixed] : [fixed, along]));
        }
    for (const [x, y] of points) sheet.push(x, y);
    const hidden = run.outputs(Float64Array.from(sheet))[2 * run.depth - 1];
    const high = hidden.reduce((most, value) => Math.max(most, value), 1);
    const view = { tanh: [-1.2, 2.4], sigmoid: [-0.1, 1.2], relu: [-0.1 * high, 1.2 * high] }[applied.settings.activation];
    const across = (h) => inset.left + ((h - view[0]) / view[1]) * inset.side;
    const up = (h) => inset.top + (1 - (h - view[0]) / view[1]) * inset.side;
    const context = fold.begin();
    const [v1, v2] = run.last.weight.data;
    const [c] = run.last.bias.data;
    const output = new Float64Array(grid * grid);
    for (let i = 0; i < grid * grid; i++) {
      const h1 = view[0] + (view[1] * (i % grid)) / (grid - 1);
      const h2 = view[0] + view[1] * (1 - Math.floor(i / grid) / (grid - 1));
      output[i] = sigmoid(v1 * h1 + v2 * h2 + c);
    }
    paintShares(context, (i) => output[i], colors, inset.left, inset.top, inset.side);
    context.beginPath();
    for (let line = 0; line < 2 * lines; line++)
      for (let i = 0; i < fine; i++) {
        const at = 2 * (line * fine + i);
        context[i ? "lineTo" : "moveTo"](across(hidden[at]), up(hidden[at + 1]));
      }
    stroke(context, colors.quiet, 0.8);
    drawBorder(context, output, colors);
    points.forEach((point, i) => {
      const at = 2 * (2 * lines * fine + i);
      mark(context, [across(hidden[at]), up(hidden[at + 1])], point[2], colors, points.length <= 20 ? 7 : 4);
    });
    axes(context, colors, [view[0], view[0], view[1]], ["hidden unit 1", "hidden unit 2"]);
  };
  const drawUnits = (colors, outputs) => {
    const { width, depth, activation } = applied.settings;
    const { side, gap, above } = unitSizes(width);
    const context = units.begin();
    context.font = "12px sans-serif";
    context.textBaseline = "top";
    for (let layer = 0; layer < depth; layer++) {
      const hidden = outputs[2 * layer + 1];
      const top = layer * (side + above);
      context.fillStyle = colors.quiet;
      context.fillText(`layer ${layer + 1}`, 0, top + 2);
      for (let unit = 0; unit < width; unit++) {
        let high = 1e-9;
        if (activation === "relu") for (let i = unit; i < hidden.length; i += width) high = Math.max(high, hidden[i]);
        const share = {
          tanh: (i) => (hidden[i * width + unit] + 1) / 2,
          sigmoid: (i) => hidden[i * width + unit],
          relu: (i) => 0.5 + hidden[i * width + unit] / high / 2,
        }[activation];
        const left = unit * (side + gap) + 0.5;
        paintShares(context, share, colors, left, top + above - 4, side - 1);
        context.strokeStyle = colors.quiet;
        context.lineWidth = 1;
        context.strokeRect(left, top + above - 4, side - 1, side - 1);
      }
    }
  };
  const unitSizes = (width) => ({ side: width <= 4 ? 66 : 32, gap: width <= 4 ? 6 : 4, above: 22 });
  const drawCurve = (colors) => {
    const context = curve.begin();
    const [left, top, wide, high] = [30, 8, 246, 120];
    const losses = run.curve;
    const last = Math.max(1, run.epoch);
    const most = losses.reduce((so, [own, other]) => Math.max(so, own, other ?? 0), 0.01);
    const ceiling = Number.isFinite(most) ? most * 1.15 : 1;
    const across = (at) => left + (at / last) * wide;
    const up = (loss) => top + high * (1 - Math.min(1, loss / ceiling));
    context.font = "12px sans-serif";
    context.beginPath();
    context.moveTo(left, top);
    context.lineTo(left, top + high);
    context.lineTo(left + wide, top + high);
    stroke(context, colors.quiet, 1);
    context.fillStyle = colors.quiet;
    context.textBaseline = "top";
    context.textAlign = "left";
    context.fillText("0", left, top + high + 4);
    context.textAlign = "center";
    context.fillText("epoch", left + wide / 2, top + high + 4);
    context.textAlign = "right";
    context.fillText(run.epoch.toLocaleString("en"), left + wide, top + high + 4);
    context.textBaseline = "middle";
    // The levels at which chapter 5 finds XOR: one half for all, and the two where runs are stuck.
    if (applied.settings.data === "xor" && run.squared) {
      const levels = [[1 / 4, "1/4"], [1 / 6, "1/6"], [1 / 8, "1/8"], [0, "0"]];
      for (const [level, text] of levels) {
        if (level > ceiling) continue;
        if (level) {
          context.setLineDash([3, 4]);
          context.beginPath();
          context.moveTo(left, up(level));
          context.lineTo(left + wide, up(level));
          context.stroke();
          context.setLineDash([]);
        }
        context.fillText(text, left - 4, up(level));
      }
    } else {
      context.fillText("0", left - 4, top + high);
      context.fillText(ceiling.toPrecision(2), left - 4, top + 5);
    }
    const line = (which, color, dash) => {
      const stride = Math.max(1, Math.floor(losses.length / wide));
      context.beginPath();
      for (let i = 0; i < losses.length; i += stride) context.lineTo(across(i * run.every), up(losses[i][which]));
      if (losses.length) context.lineTo(across((losses.length - 1) * run.every), up(losses.at(-1)[which]));
      context.setLineDash(dash);
      stroke(context, color, 1.75);
      context.setLineDash([]);
    };
    line(0, colors.blue, []);
    if (!heldOut.length) return;
    line(1, colors.orange, [5, 3]);
    context.textAlign = "right";
    const below = Math.min(top + high - 8, up(run.loss ?? 0) + 11);
    const above = Math.max(top + 5, Math.min(up(run.heldOutLoss ?? 0) - 10, below - 15));
    context.fillStyle = colors.orange;
    context.fillText("held-out", left + wide, above);
    context.fillStyle = colors.blue;
    context.fillText("training", left + wide, below);
  };
  const write = () => {
    const { points: all, position } = run;
    const step = position ? `, step ${Math.ceil(position / model.get("batch_size"))} of the next` : "";
    const [loss, wrong] = [playgroundNumber(run.loss), `${run.wrong} of ${all.length}`];
    const measured = heldOut.length
      ? `Loss: ${loss} training, ${playgroundNumber(run.heldOutLoss)} held-out. Wrong: ${wrong}, held-out ${run.heldOutWrong} of ${heldOut.length}.`
      : `Loss: ${loss}. ${wrong} points wrong.`;
    numbers.textContent = `Epoch ${run.epoch.toLocaleString("en")}${step}. ${measured}`;
  };
  // What is there at all: a fold needs two units, small pictures need a hidden layer.
  const layOut = ({ width, depth }) => {
    const folds = depth > 0 && width === 2;
    foldFigure.hidden = !folds;
    flat.hidden = folds;
    pictures.dataset.folds = folds;
    flat.textContent = depth
      ? "With two units in the last hidden layer, you can watch how the plane folds. Set the width to 2."
      : "Without a hidden layer the plane stays as it is, and the border is a straight line.";
    unitsFigure.hidden = depth === 0;
    const { side, above } = unitSizes(width);
    units = canvas({
      width: 284,
      height: Math.max(1, depth) * (side + above),
      label: "A small picture of the plane for each hidden unit, in rows for the layers.",
    });
    unitsHolder.replaceChildren(units);
  };
  const draw = () => {
    const colors = palette(el);
    const outputs = run.outputs(places());
    drawSurface(colors, outputs);
    if (applied.settings.depth) drawUnits(colors, outputs);
    if (!foldFigure.hidden) drawFold(colors);
    drawCurve(colors);
    write();
  };
  let drawing = 0;
  const ask = () => {
    drawing ||= requestAnimationFrame(() => {
      drawing = 0;
      draw();
    });
  };

  follow();
  const unheard = hears(model, Object.fromEntries(Object.keys(settings).map((name) => [name, later])));
  const forget = onTheme(el, ask);
  return () => {
    gone = true;
    clock.end();
    forget();
    cancelAnimationFrame(drawing);
    unheard();
  };
}

export default { render, settings };
