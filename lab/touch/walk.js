// Chapter 11's code of four numbers as a map to walk on: the decoder draws a digit for every place of it.
import { network, unpackedDigits } from "./weights.js";
import { drawPixels } from "./ink.js";
import { atOnce, button, canvas, choice, element, hears, holdsPage, onTheme, palette, row, slider, speaker, svg } from "./parts.js";

export const settings = {
  begin: { from: 0, to: 309, whole: true },
  end: { from: 0, to: 309, whole: true },
  along: { from: 0, to: 1 },
  code: { text: true },
  others: { among: ["nearest", "stay"] },
};

const walkWidth = 340;
const walkHeight = 300;
const walkRoom = 14; // Around the outermost digits of the map, in pixels.
const walkFilm = 540; // A phone shows it at half the size.
const walkSteps = 9;
// Neighbours on the map get colours that differ; the digits themselves are written, so that nobody needs the colours.
const walkColours = ["blue", "accent", "green", "orange", "purple", "red", "sky", "yellow", "ink", "quiet"];

const walkNumber = (value) => value.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "\u2212");

// A code as text for the address: its numbers in hundredths, as in 91_154_579_28.
const walkText = (code) => code.map((value) => Math.round(100 * value)).join("_");

function walkCode(text) {
  if (!/^-?\d{1,5}(_-?\d{1,5}){3}$/.test(text))
    throw new Error("This code cannot be read: it must be four whole numbers of hundredths, as in 91_154_579_28.");
  return text.split("_").map((part) => Number(part) / 100);
}

const walkDistance = (a, b) => Math.hypot(...a.map((value, i) => value - b[i]));

function walkNearest(code, among) {
  const far = among.map((each) => walkDistance(code, each));
  const nearest = far.indexOf(Math.min(...far));
  return { nearest, far: far[nearest] };
}

export function render({ model, el }) {
  const get = (name) => model.get(name);
  const { codes, labels, directions, mean, centroids, share, decoder: layers, digits: packed } = get("data");
  let decoder;
  let digits;
  try {
    decoder = network(layers);
    digits = unpackedDigits(packed);
  } catch (error) {
    speaker(el)(error.message);
    return () => {};
  }
  const decoded = (code) => decoder.forward(Float64Array.from(code), 1);

  // Along the directions in which the codes differ most, and back.
  const turned = (code) => directions.map((way) => way.reduce((sum, part, i) => sum + part * (code[i] - mean[i]), 0));
  const back = (places) => mean.map((value, i) => places.reduce((sum, place, k) => sum + place * directions[k][i], value));
  const places = codes.map(turned);
  const ends = [0, 1].map((axis) => {
    const all = places.map((place) => place[axis]);
    return [Math.min(...all), Math.max(...all)];
  });
  const scale = (axis, room) => (room - 2 * walkRoom) / (ends[axis][1] - ends[axis][0]);
  const [across, up] = [scale(0, walkWidth), scale(1, walkHeight)];
  const toPixel = (place) => [
    walkRoom + (place[0] - ends[0][0]) * across,
    walkHeight - walkRoom - (place[1] - ends[1][0]) * up,
  ];
  const toPlane = ([x, y]) => [ends[0][0] + (x - walkRoom) / across, ends[1][0] + (walkHeight - walkRoom - y) / up];
  const pixels = places.map(toPixel);

  // The ends of a walk: a test digit, or the mean of all training digits of one kind.
  const stands = (which) => (which < codes.length ? codes[which] : centroids[which - codes.length]);
  const named = (which) => (which < codes.length ? `a ${labels[which]}` : `the mean ${which - codes.length}`);
  const onLine = (at) => stands(get("begin")).map((value, i) => (1 - at) * value + at * stands(get("end"))[i]);

  let wrong = "";
  const now = () => {
    wrong = "";
    if (!get("code")) return onLine(get("along"));
    try {
      return walkCode(get("code"));
    } catch (error) {
      wrong = `${error.message} Here is the walk instead.`;
      return onLine(get("along"));
    }
  };
  let code = now();

  // The pictures.
  const picture = canvas({ width: 140, height: 140, label: "The digit that the decoder draws at this place." });
  const nearby = canvas({ width: 84, height: 84, label: "The test digit whose code is nearest to this place." });
  const nearbyName = element("figcaption");
  const map = canvas({ width: walkWidth, height: walkHeight, label: "Three hundred test digits, each written at the place of its code." });
  const halo = svg("circle", { r: 9, class: "nnkit-touch-walk-halo" });
  const marker = svg("circle", { r: 9, class: "nnkit-touch-walk-place" });
  const hold = svg("circle", { r: 22, class: "nnkit-touch-walk-hold" });
  const under = svg("path", { class: "nnkit-touch-walk-halo" });
  const line = svg("path", { class: "nnkit-touch-walk-line" });
  const overlay = svg(
    "svg",
    { viewBox: `0 0 ${walkWidth} ${walkHeight}`, class: "nnkit-touch-walk-over", tabindex: 0, role: "application" },
    under,
    line,
    halo,
    marker,
    hold,
  );
  const film = canvas({ width: walkFilm, height: 86, label: "Digits along the straight line, each with the mean that is nearest." });
  const draw = (context, values, side, x = 0, y = 0) => {
    const { ink } = palette(el);
    drawPixels(context, values, { side, x, y, color: (value) => [ink, value] });
  };

  const drawMap = () => {
    const context = map.begin();
    const colours = palette(el);
    context.font = "600 13.5px sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    pixels.forEach(([x, y], k) => {
      context.fillStyle = colours[walkColours[labels[k]]];
      context.fillText(labels[k], x, y);
    });
    const [from, to] = ["begin", "end"].map((name) => toPixel(turned(stands(get(name)))));
    for (const each of [under, line]) each.setAttribute("d", `M${from.join(" ")}L${to.join(" ")}`);
  };

  let shown = []; // The pictures along the line, which stay until another line is chosen.
  let walked = "";
  let seen = "";
  const drawFilm = (anyway) => {
    const line = `${get("begin")} ${get("end")}`;
    const look = `${line} ${get("code") === "" && get("along")}`;
    if (look === seen && !anyway) return;
    seen = look;
    if (walked !== line) {
      walked = line;
      shown = Array.from({ length: walkSteps }, (_, i) => onLine(i / (walkSteps - 1))).map((at) => ({
        pixels: decoded(at),
        reads: walkNearest(at, centroids).nearest,
      }));
      drawMap();
    }
    const context = film.begin();
    const { ink, accent } = palette(el);
    const room = walkFilm / walkSteps;
    shown.forEach((each, i) => {
      const x = (i + 0.5) * room;
      draw(context, each.pixels, 56, x - 28, 28);
      context.fillStyle = ink;
      context.font = "600 23px sans-serif";
      context.textAlign = "center";
      context.fillText(each.reads, x, 22);
    });
    if (!get("code")) {
      context.strokeStyle = accent;
      context.lineWidth = 2.5;
      context.strokeRect(get("along") * (walkFilm - room) + 1, 1, room - 2, 84);
    }
    const reads = shown.map((each) => each.reads).join(", ");
    film.setAttribute("aria-label", `Nine digits along the straight line from ${named(get("begin"))} to ${named(get("end"))}. The nearest means are those of ${reads}.`);
  };

  const sentence = () => {
    const { nearest } = walkNearest(code, centroids);
    const closest = walkNearest(code, codes);
    const reads = `the nearest of the ten means is that of the ${nearest}s`;
    const digit = `the nearest of the ${codes.length} test digits is a ${labels[closest.nearest]}`;
    const away = closest.far < 0.02 ? `It is the code of a ${labels[closest.nearest]}: ` : "";
    if (!get("code") || wrong) {
      const part = Math.round(100 * get("along"));
      return `${wrong} ${part} % of the way from ${named(get("begin"))} to ${named(get("end"))}: ${reads}, and ${digit}.`.trim();
    }
    if (away) return `${away}${reads}.`;
    const [first, second] = turned(code);
    return `At ${walkNumber(first)} and ${walkNumber(second)} on the map: ${reads}, and ${digit}, ${walkNumber(closest.far)} away in the code.`;
  };

  const drawAll = (anyway = false) => {
    const [x, y] = toPixel(turned(code));
    for (const circle of [halo, marker, hold]) {
      circle.setAttribute("cx", x.toFixed(1));
      circle.setAttribute("cy", y.toFixed(1));
    }
    picture.pixels = decoded(code);
    draw(picture.begin(), picture.pixels, 140);
    const closest = walkNearest(code, codes);
    draw(nearby.begin(), Array.from(digits.of(closest.nearest), (ink) => ink / 255), 84);
    nearbyName.textContent = `nearest test digit, ${walkNumber(closest.far)} away`;
    drawFilm(anyway);
    overlay.setAttribute("aria-label", `A place on the map of codes. ${sentence()} Arrow keys move it, page up and page down go from digit to digit.`);
    say(sentence());
  };

  // What the hand does.
  const change = (changes, save = true) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    if (save) model.save_changes();
    update();
  };
  const goTo = (next, save = true) => change({ code: walkText(next) }, save);
  const onMap = (at) => [
    Math.min(walkWidth - 2, Math.max(2, at[0])),
    Math.min(walkHeight - 2, Math.max(2, at[1])),
  ];
  // A place on the map is two of four numbers; the others come from the digit that is nearest there, or stay.
  const move = (pixel, save = true) => {
    const at = onMap(pixel);
    const [first, second] = toPlane(at);
    const source = get("others") === "nearest" ? places[walkNearest(at, pixels).nearest] : turned(code);
    goTo(back([first, second, source[2], source[3]]), save);
  };
  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  overlay.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = keys[event.key];
    const page = { PageDown: 1, PageUp: -1 }[event.key];
    if (way) {
      const size = event.shiftKey ? 24 : 6;
      const [x, y] = toPixel(turned(code));
      move([x + size * way[0], y + size * way[1]]);
    } else if (page) {
      const { nearest } = walkNearest(code, codes);
      goTo(codes[(nearest + page + codes.length) % codes.length]);
    } else return;
    event.preventDefault();
  });

  let dragged = false;
  const at = (event) => {
    const { x, y } = map.place(event);
    return [x, y];
  };
  overlay.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    // A finger that does not begin at the mark may want to scroll the page; its tap comes as a click.
    if (event.pointerType === "touch" && event.target !== hold) return;
    dragged = true;
    overlay.setPointerCapture(event.pointerId);
    if (event.pointerType !== "touch" && walkDistance(at(event), toPixel(turned(code))) > 6) move(at(event), false);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (dragged) move(at(event), false);
  });
  holdsPage(overlay, (event) => event.target === hold);
  const drop = () => {
    if (dragged) model.save_changes();
    setTimeout(() => (dragged = false));
  };
  overlay.addEventListener("pointerup", drop);
  overlay.addEventListener("pointercancel", drop);
  overlay.addEventListener("click", (event) => {
    if (!dragged) move(at(event));
  });
  film.addEventListener("click", (event) => {
    const step = Math.min(walkSteps - 1, Math.floor((film.place(event).x / walkFilm) * walkSteps));
    change({ code: "", along: step / (walkSteps - 1) });
  });

  // The walk, and the four numbers themselves.
  const firsts = Array.from({ length: 10 }, (_, digit) => labels.indexOf(digit));
  const among = [
    ...firsts.map((which, digit) => [which, `a ${digit}`]),
    ...centroids.map((_, digit) => [codes.length + digit, `the mean ${digit}`]),
    [-1, "a digit of the map"],
  ];
  const end = (name, label) => choice({
    label,
    among,
    value: -1,
    onchange: (which) => (which < 0 ? update(true) : change({ [name]: which, code: "" })),
  });
  const begin = end("begin", "Walk from");
  const finish = end("end", "to");
  const listed = (which) => (among.some(([each]) => each === which) ? which : -1);
  const here = (name) => () => change({ [name]: walkNearest(code, codes).nearest });
  const along = slider({
    label: "Along the line",
    from: 0,
    to: 1,
    step: 0.01,
    value: get("along"),
    show: (value) => `${Math.round(100 * value)} %`,
    onchange: (value) => change({ along: value, code: "" }),
  });
  const numbers = mean.map((_, i) => {
    const all = codes.map((each) => each[i]);
    return slider({
      label: `Number ${i + 1}`,
      from: Math.floor(Math.min(...all)),
      to: Math.ceil(Math.max(...all)),
      step: 0.05,
      value: code[i],
      // The stop of a slider is near the number; what is written is the number.
      show: (stop) => walkNumber(Math.abs(stop - code[i]) < 0.03 ? code[i] : stop),
      onchange: (value) => goTo(code.map((each, k) => (k === i ? value : each))),
    });
  });
  const others = choice({
    label: "The two others",
    among: [["nearest", "jump with the nearest"], ["stay", "stay as they are"]],
    value: get("others"),
    onchange: (value) => change({ others: value }),
  });

  el.append(
    element(
      "div",
      { class: "nnkit-touch-walk" },
      element(
        "div",
        { class: "nnkit-touch-walk-side" },
        element("figure", {}, picture, element("figcaption", { text: "decoded here" })),
        element("figure", {}, nearby, nearbyName),
      ),
      element("div", { class: "nnkit-touch-walk-map" }, map, overlay),
    ),
  );
  const say = speaker(el);
  el.append(
    row(begin, finish, along),
    film,
    row(
      button({ text: "Walk from here", label: "Walk from here, the digit nearest to this place", onclick: here("begin") }),
      button({ text: "Walk to here", label: "Walk to here, the digit nearest to this place", onclick: here("end") }),
    ),
    element("div", { class: "nnkit-touch-walk-numbers" }, ...numbers),
    element("p", {
      class: "nnkit-touch-walk-note",
      text: `The map shows two directions of the four-number code, those in which these ${codes.length} test digits differ most: ${Math.round(100 * share)} % of the variance, each to its own scale. A place on it says nothing of the two others; as you move over it, they are those of the nearest digit, or stay.`,
    }),
    row(others),
  );

  let drawn = "";
  const update = (anyway = false) => {
    const key = JSON.stringify(Object.keys(settings).map(get));
    if (key === drawn && !anyway) return;
    drawn = key;
    code = now();
    begin.value = listed(get("begin"));
    finish.value = listed(get("end"));
    along.value = get("along");
    others.value = get("others");
    numbers.forEach((each, i) => (each.value = code[i]));
    drawAll();
  };
  const follow = atOnce(update);
  const unheard = hears(model, Object.fromEntries(Object.keys(settings).map((name) => [name, follow])));
  const stopTheme = onTheme(el, () => {
    drawMap();
    drawAll(true);
  });
  update();
  return () => {
    stopTheme();
    unheard();
  };
}

export default { render, settings };
