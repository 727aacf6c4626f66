// What the widgets are built from: elements with names, canvases that are sharp, colours of the theme, frames in slices.

export function element(tag, attributes = {}, ...children) {
  return furnished(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return furnished(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function furnished(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "text") made.textContent = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let partsNamed = 0;
const newId = () => `nnkit-part-${(partsNamed += 1)}`;

export function slider({ label, from, to, step, value, unit = "", show = String, onchange = () => {} }) {
  const id = newId();
  const input = element("input", { type: "range", id, min: from, max: to, step, value });
  const said = element("output", { for: id });
  const write = () => {
    const text = show(Number(input.value)) + unit;
    said.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", () => {
    write();
    onchange(Number(input.value));
  });
  write();
  const made = element("div", { class: "nnkit-touch-slider" }, element("label", { for: id, text: label }), input, said);
  return valued(made, () => Number(input.value), (now) => {
    input.value = now;
    write();
  });
}

export function choice({ label, among, value, onchange = () => {} }) {
  const id = newId();
  const options = among.map(([each, text]) => element("option", { value: each, text }));
  const select = element("select", { id, onchange: () => onchange(of(select.value)) }, ...options);
  const of = (text) => among.find(([each]) => String(each) === text)[0];
  select.value = value;
  const made = element("div", { class: "nnkit-touch-choice" }, element("label", { for: id, text: label }), select);
  return valued(made, () => of(select.value), (now) => (select.value = now));
}

export function tick({ label, value, onchange = () => {} }) {
  const input = element("input", { type: "checkbox", onchange: () => onchange(input.checked) });
  input.checked = value;
  return valued(
    element("label", { class: "nnkit-touch-tick" }, input, label),
    () => input.checked,
    (now) => (input.checked = now),
  );
}

const valued = (made, get, set) => Object.defineProperty(made, "value", { get, set });

export function button({ text, label = null, onclick, pressed = null }) {
  return element("button", {
    type: "button",
    class: "nnkit-touch-button",
    text,
    "aria-label": label,
    "aria-pressed": pressed === null ? null : String(pressed),
    onclick,
  });
}

export function row(...children) {
  return element("div", { class: "nnkit-touch-row" }, ...children);
}

// A line that says what happened; who listens hears at most a sentence a second, and the last one always.
export function speaker(el) {
  const seen = element("p", { class: "nnkit-touch-says" });
  const heard = element("p", { class: "nnkit-touch-heard", "aria-live": "polite" });
  seen.setAttribute("aria-hidden", "true");
  el.append(seen, heard);
  let waiting = 0;
  return (text) => {
    if (seen.textContent === text) return;
    seen.textContent = text;
    waiting ||= setTimeout(() => {
      waiting = 0;
      heard.textContent = seen.textContent;
    }, heard.textContent ? 1000 : 0);
  };
}

// Coordinates are those of width x height, whatever room there is and however fine the screen.
export function canvas({ width, height, label }) {
  const made = element("canvas", { class: "nnkit-touch-canvas", role: "img", "aria-label": label });
  made.style.aspectRatio = `${width} / ${height}`;
  made.style.maxWidth = `${width}px`;
  made.begin = () => {
    const fine = Math.min(3, Math.max(1, window.devicePixelRatio || 1));
    if (made.width !== Math.round(width * fine)) {
      made.width = Math.round(width * fine);
      made.height = Math.round(height * fine);
    }
    const context = made.getContext("2d");
    context.setTransform(made.width / width, 0, 0, made.height / height, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  };
  made.place = (event) => {
    const box = made.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * width,
      y: ((event.clientY - box.top) / box.height) * height,
    };
  };
  return made;
}

const paletteNames = ["ink", "paper", "quiet", "line", "wash", "accent", "blue", "orange", "green", "purple", "red"];

export function palette(el) {
  const style = getComputedStyle(el);
  return Object.fromEntries(
    [...paletteNames, "sky", "yellow"].map((name) => [name, style.getPropertyValue(`--touch-${name}`).trim()]),
  );
}

export function onTheme(el, redraw) {
  const watch = new MutationObserver(redraw);
  // The book's pages name their theme on the root, JupyterLab on the body.
  watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  watch.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  return () => watch.disconnect();
}

// A finger on what is held moves it, and not the page: inside an svg, browsers do not all heed touch-action.
export function holdsPage(overlay, isHeld) {
  overlay.addEventListener("touchstart", (event) => isHeld(event) && event.preventDefault(), { passive: false });
}

// Work in slices, so that the page answers in between; nobody trains what nobody sees.
export function frames(work, { el, slice = 8, onframe = () => {} }) {
  let asked = 0;
  let seen = true;
  const watch = new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    if (seen && made.running && !asked) asked = requestAnimationFrame(frame);
  });
  watch.observe(el);
  const frame = () => {
    asked = 0;
    if (!made.running || !el.isConnected) return made.stop();
    const end = performance.now() + slice;
    let going = true;
    do going = work() !== false;
    while (going && performance.now() < end);
    if (!going) made.running = false;
    onframe();
    if (made.running && seen) asked = requestAnimationFrame(frame);
  };
  const made = {
    running: false,
    start() {
      made.running = true;
      asked ||= requestAnimationFrame(frame);
    },
    stop() {
      made.running = false;
      cancelAnimationFrame(asked);
      asked = 0;
    },
    end() {
      made.stop();
      watch.disconnect();
    },
  };
  return made;
}

// Calls what hears a setting when it changes, until what this returns is called.
export function hears(model, byName) {
  const heard = Object.entries(byName).map(([name, hear]) => [`change:${name}`, hear]);
  for (const [event, hear] of heard) model.on(event, hear);
  return () => {
    for (const [event, hear] of heard) model.off(event, hear);
  };
}

// Settings that come together are one change: `update` follows once, after the last of them.
export function atOnce(update) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    queueMicrotask(() => {
      asked = false;
      update();
    });
  };
}

export function still() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// Mulberry32: small, and good enough to start a network.
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function normal(next) {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

// What stands in an address becomes a value of a setting, or an Error whose message says what can be.
export function accepted(settings, name, text) {
  const setting = settings[name];
  if (!setting) throw new Error(`There is no setting called "${name}" here.`);
  if (setting.text) return text;
  if (setting.among) {
    const found = setting.among.find((each) => String(each) === text);
    if (found === undefined) throw new Error(`${name} must be one of ${setting.among.join(", ")}; got "${text}".`);
    return found;
  }
  const value = text.trim() === "" ? NaN : Number(text);
  const { from, to, whole } = setting;
  if (!(value >= from && value <= to) || (whole && !Number.isInteger(value)))
    throw new Error(`${name} must be a ${whole ? "whole " : ""}number from ${from} to ${to}; got "${text}".`);
  return value;
}

// In a notebook, what the page has around the widget: its name, its question, and things to try.
export function framed(widget) {
  return {
    render({ model, el, ...more }) {
      el.classList.add("nnkit-touch");
      // Or JupyterLab would take the keys: it looks for this on what has the focus, before it looks around it.
      el.addEventListener("focusin", ({ target }) => (target.dataset.lmSuppressShortcuts = "true"));
      const live = element("div", { class: "nnkit-touch-live" });
      const tries = (model.get("tries") ?? []).map(([text, state]) =>
        element("li", {}, ...tried(text, state, () => {
          for (const [name, value] of Object.entries(state)) model.set(name, value);
          model.save_changes();
        })),
      );
      el.append(
        element("p", { class: "nnkit-touch-title", text: model.get("title") }),
        element("p", { class: "nnkit-touch-question", text: model.get("question") }),
        live,
      );
      if (tries.length) el.append(element("ul", { class: "nnkit-touch-tries" }, ...tries));
      return widget.render({ model, el: live, ...more });
    },
  };
}

const tried = (text, state, onclick) => (state ? [`${text} `, button({ text: "Try it", onclick })] : [text]);
