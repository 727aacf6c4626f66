// Draw a digit, and see what one of the book's classifiers makes of it while you draw.
import { button, canvas, element, hears, onTheme, palette, row, slider, speaker } from "./parts.js";
import { unpackedDigits } from "./weights.js";
import { centred, drawPixels, INK_PAD, INK_SIDE } from "./ink.js";
import { asInk, inkOf, PAD_VIEWS, pictured } from "./padviews.js";

export const settings = {
  sample: { from: -1, to: 299, whole: true },
  sigma: { from: 0, to: 1 },
  k: { from: 1, to: 25, whole: true },
  seed: { from: 0, to: 9999, whole: true },
};

export function render({ model, el }) {
  const step = INK_PAD / INK_SIDE;
  let strokes = model.get("strokes") ?? [];
  let pointer = null; // The finger, pen or mouse that draws.
  let pen = { x: INK_PAD / 2, y: INK_PAD / 2, down: false, seen: false }; // The keyboard's.
  let asked = 0;
  let quiet = false;
  let digits;
  let view;

  const change = (values) => {
    quiet = true;
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    quiet = false;
    model.save_changes();
    refresh();
  };

  const surface = canvas({ width: INK_PAD, height: INK_PAD, label: "Drawing pad. Arrow keys move the pen; space puts it down and lifts it." });
  surface.setAttribute("role", "application");
  surface.setAttribute("tabindex", "0");
  surface.classList.add("nnkit-touch-surface");
  const seen = pictured("The picture of 28 by 28 pixels that is read", "What is read");
  const left = element("div", {}, surface);
  const say = speaker(left);
  try {
    digits = unpackedDigits(model.get("data")?.digits ?? { labels: "", pixels: "" });
    const make = PAD_VIEWS[model.get("mode")];
    if (!make) throw new Error(`There is no mode called "${model.get("mode")}" here.`);
    view = make({ data: model.get("data") ?? {}, model, change, refresh: (fresh) => refresh(fresh) });
  } catch (error) {
    surface.remove();
    el.append(left);
    say(`This pad cannot work. ${error.message}`);
    return () => {};
  }
  const forgotten = view.forget ?? {};
  const drawn = (now) => {
    strokes = now;
    change({ strokes: now, sample: -1, picture: [...(centred(now)?.pixels ?? [])], ...forgotten });
  };
  const undo = button({ text: "Undo", label: "Undo the last stroke", onclick: () => drawn(strokes.slice(0, -1)) });
  const clear = button({ text: "Clear", onclick: () => drawn([]) });
  const sample = slider({
    label: "Test digit",
    from: -1,
    to: digits.count - 1,
    step: 1,
    value: model.get("sample"),
    show: (which) => (which < 0 ? "none" : `${which}: a ${digits.labels[which] ?? "?"}`),
    onchange: (which) => chosen(which),
  });
  const scaled = element("p", {
    class: "nnkit-touch-small",
    text:
      "A drawing is treated as MNIST's digits were: the dashed box becomes 20 × 20 pixels, and the cross, the centre of " +
      "its ink, comes to the middle of 28 × 28.",
  });
  left.append(
    row(undo, clear),
    sample,
    element("p", {
      class: "nnkit-touch-small",
      text: "Mouse, finger or pen. By keyboard: arrow keys move the pen (with Shift, further), space puts it down and lifts it.",
    }),
  );
  el.append(
    element(
      "div",
      { class: "nnkit-touch-pad" },
      left,
      element("div", {}, ...view.beside, element("div", { class: "nnkit-touch-pictures" }, seen, ...view.pictures, scaled)),
    ),
    ...view.below,
  );

  const chosen = (which) => {
    strokes = [];
    pen.down = false;
    const picture = which >= 0 && which < digits.count ? [...digits.of(which)] : [];
    change({ strokes: [], sample: which, picture, ...forgotten });
  };

  // What is on the pad: a drawing, one of the test digits, or what Python has put there.
  const shown = () => {
    if (strokes.length) return centred(strokes);
    const which = model.get("sample");
    if (which >= 0 && which < digits.count) return { pixels: digits.of(which) };
    const given = which < 0 ? (model.get("picture") ?? []) : [];
    return given.length === INK_SIDE ** 2 ? { pixels: Uint8Array.from(given) } : null;
  };

  const drawPad = (now, colors) => {
    const context = surface.begin();
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = colors.ink;
    context.lineWidth = 22;
    for (const stroke of strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (const point of [stroke[0], ...stroke]) context.lineTo(...point);
      context.stroke();
    }
    if (now && !strokes.length) drawPixels(context, inkOf(now.pixels), { side: INK_PAD, color: asInk(colors) });
    context.lineWidth = 1.5;
    if (now?.box) {
      context.strokeStyle = colors.accent;
      context.setLineDash([5, 4]);
      context.strokeRect(now.box.x, now.box.y, now.box.side, now.box.side);
      context.setLineDash([]);
      padCross(context, ...now.mass, 8, colors);
    }
    if (!now) {
      context.fillStyle = colors.quiet;
      context.font = "18px sans-serif";
      context.textAlign = "center";
      context.fillText("Draw a digit here", INK_PAD / 2, INK_PAD / 2 - 30);
    }
    if (pen.seen) {
      context.beginPath();
      context.arc(pen.x, pen.y, 9, 0, 7);
      context.fillStyle = pen.down ? colors.accent : colors.paper;
      context.fill();
      context.strokeStyle = colors.accent;
      context.lineWidth = 3;
      context.stroke();
    }
  };

  const drawSeen = (now, colors) =>
    seen.draw({
      values: now ? inkOf(now.pixels) : new Float64Array(INK_SIDE ** 2),
      color: asInk(colors),
      after: (context) => now?.box && padCross(context, 70, 70, 5, colors),
    });

  let told = "";
  const refresh = (fresh = true) => {
    cancelAnimationFrame(asked);
    asked = 0;
    const colors = palette(el);
    const now = shown();
    sample.value = model.get("sample");
    undo.disabled = !strokes.length;
    clear.disabled = !now;
    drawPad(now, colors);
    drawSeen(now, colors);
    told = view.show(now?.pixels ?? null, colors, fresh);
    const which = model.get("sample");
    if (which >= digits.count) told = `There are ${digits.count} test digits here, from 0 to ${digits.count - 1}; got ${which}.`;
    else if (!now) told = "The pad is empty. Draw a digit from 0 to 9, or choose a test digit.";
    say(told);
  };
  const soon = () => (asked ||= requestAnimationFrame(() => refresh()));

  const place = (event) => {
    const { x, y } = surface.place(event);
    return [x, y].map((at) => Math.round(10 * Math.min(INK_PAD, Math.max(0, at))) / 10);
  };
  surface.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    surface.setPointerCapture(pointer);
    pen.down = pen.seen = false;
    strokes = [...strokes, [place(event)]];
    soon();
  });
  surface.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const stroke = strokes.at(-1);
    const [x, y] = place(event);
    if (Math.hypot(x - stroke.at(-1)[0], y - stroke.at(-1)[1]) < 2) return;
    stroke.push([x, y]);
    soon();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    surface.addEventListener(end, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      drawn(strokes);
    });
  }

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  surface.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || pointer !== null) return;
    const [x, y] = (moves[event.key] ?? [0, 0]).map((way) => way * step * (event.shiftKey ? 4 : 1));
    if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) drawn([...strokes, [[pen.x, pen.y]]]);
    } else if (event.key === "Backspace") {
      pen.down = false;
      drawn(strokes.slice(0, -1));
    } else if (x || y) {
      const inside = (at) => Math.min(INK_PAD - step, Math.max(step, at));
      pen = { ...pen, x: inside(pen.x + x), y: inside(pen.y + y) };
      if (pen.down) drawn([...strokes.slice(0, -1), [...strokes.at(-1), [pen.x, pen.y]]]);
    } else return;
    event.preventDefault();
    pen.seen = true;
    refresh(false);
    const [column, line] = [pen.x, pen.y].map((at) => Math.round(at / step));
    say(`Pen ${pen.down ? "down" : "up"}, ${column} from the left and ${line} from the top, of ${INK_SIDE}. ${told}`);
  });
  surface.addEventListener("focus", () => {
    pen.seen = surface.matches(":focus-visible");
    refresh(false);
  });
  surface.addEventListener("blur", () => {
    pen.down = pen.seen = false;
    refresh(false);
  });

  const follow = () => {
    if (quiet) return;
    strokes = model.get("strokes") ?? [];
    refresh();
  };
  const chooses = () => {
    if (quiet) return;
    if (model.get("sample") >= 0) chosen(model.get("sample"));
    else follow();
  };
  const followed = ["strokes", "picture", ...(view.heard ?? [])].map((name) => [name, follow]);
  const unheard = hears(model, { sample: chooses, ...Object.fromEntries(followed) });
  const undoTheme = onTheme(el, () => refresh(false));
  refresh();
  return () => {
    cancelAnimationFrame(asked);
    undoTheme();
    unheard();
  };
}

function padCross(context, x, y, arm, colors) {
  context.strokeStyle = colors.accent;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
  context.moveTo(x, y - arm);
  context.lineTo(x, y + arm);
  context.stroke();
}

export default { render, settings };
