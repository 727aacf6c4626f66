// A plane with two axes, on which a widget draws and is touched in the units of its data.
import { svg } from "./parts.js";

const planeMargin = { left: 32, right: 8, top: 22, bottom: 36 };

export function plane({ width, height, x, y, xName, yName, label, every = [1, 1] }) {
  const room = {
    width: width - planeMargin.left - planeMargin.right,
    height: height - planeMargin.top - planeMargin.bottom,
  };
  // From the data's units to the drawing's, measured from the corner of the axes.
  const X = (value) => ((value - x[0]) / (x[1] - x[0])) * room.width;
  const Y = (value) => ((y[1] - value) / (y[1] - y[0])) * room.height;
  const text = { "font-size": 13, style: "fill: var(--touch-quiet)" };
  const line = { style: "stroke: var(--touch-line); fill: none", "stroke-width": 1 };
  const axes = svg("g", { "aria-hidden": "true", transform: `translate(${planeMargin.left} ${planeMargin.top})` });
  for (let tick = Math.ceil(x[0] / every[0]) * every[0]; tick <= x[1]; tick += every[0]) {
    axes.append(svg("path", { d: `M${X(tick)} ${room.height}v4`, ...line }));
    axes.append(
      svg("text", { x: X(tick), y: room.height + 16, "text-anchor": "middle", ...text }, planeNumber(tick)),
    );
  }
  for (let tick = Math.ceil(y[0] / every[1]) * every[1]; tick <= y[1]; tick += every[1]) {
    axes.append(svg("path", { d: `M0 ${Y(tick)}h-4`, ...line }));
    axes.append(svg("text", { x: -7, y: Y(tick) + 4.5, "text-anchor": "end", ...text }, planeNumber(tick)));
  }
  axes.append(svg("text", { x: room.width, y: room.height + 32, "text-anchor": "end", ...text }, xName));
  axes.append(svg("text", { x: -planeMargin.left + 2, y: -9, ...text }, yName));
  axes.append(svg("rect", { width: room.width, height: room.height, ...line }));
  // An svg inside an svg cuts off what leaves it.
  const inside = svg("svg", {
    x: planeMargin.left,
    y: planeMargin.top,
    width: room.width,
    height: room.height,
    overflow: "hidden",
  });
  const element = svg(
    "svg",
    {
      class: "nnkit-touch-plane",
      viewBox: `0 0 ${width} ${height}`,
      style: `flex: 1 1 ${width}px; min-width: 0; max-width: ${Math.round(width * 1.2)}px; user-select: none`,
      role: "group",
      "aria-label": label,
    },
    axes,
    inside,
  );
  return {
    element,
    inside,
    X,
    Y,
    room,
    place(event) {
      const box = element.getBoundingClientRect();
      const across = ((event.clientX - box.left) / box.width) * width - planeMargin.left;
      const down = ((event.clientY - box.top) / box.height) * height - planeMargin.top;
      return {
        x: x[0] + (across / room.width) * (x[1] - x[0]),
        y: y[1] - (down / room.height) * (y[1] - y[0]),
      };
    },
  };
}

const planeNumber = (value) => String(value).replace("-", "\u2212");

// Lets a pointer drag things: take(place) returns what lies there, or nothing; move(thing, place) is called on the way.
export function dragging(area, { take, move, drop = () => {} }) {
  let held = null;
  const start = (event) => {
    if (event.button !== 0) return;
    held = take(area.place(event), event);
    if (!held) return;
    area.element.setPointerCapture(event.pointerId);
    held.handle.focus();
  };
  const go = (event) => held && move(held, area.place(event));
  const end = () => {
    if (held) drop(held);
    held = null;
  };
  area.element.addEventListener("pointerdown", start);
  area.element.addEventListener("pointermove", go);
  area.element.addEventListener("pointerup", end);
  area.element.addEventListener("pointercancel", end);
  // The browser would move the focus once more.
  area.element.addEventListener("mousedown", (event) => held && event.preventDefault());
}

// Something that can be dragged: an SVG group that also has the focus, a name, and keys.
export function handle(name, onmove, ...drawing) {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const onkeydown = (event) => {
    if (!steps[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const [right, up] = steps[event.key].map((step) => step * (event.shiftKey ? 5 : 1));
    onmove(right, up);
  };
  const look = { class: "nnkit-touch-handle", tabindex: 0, role: "application", "aria-label": name, onkeydown };
  return svg("g", look, ...drawing);
}
