// Handwriting as MNIST has it: strokes scaled to a box of 20 by 20 pixels, drawn with soft edges, and their centre of
// mass in the middle of 28 by 28.
//
// A stroke is a list of points [x, y] on a pad of INK_PAD by INK_PAD, from its upper left corner. MNIST scaled scans, so
// a small digit came out bold; here the pen is as wide in every picture, which is what most of MNIST looks like.

export const INK_PAD = 280;
export const INK_SIDE = 28;
const inkBox = 20;
const inkPen = 1.2; // Half the width of a line, in pixels of the picture.
const inkLeast = 40; // A dot stays a dot: what is smaller than this on the pad is not blown up further.

// The picture of strokes in bytes of ink, and where it came from: a box on the pad, and what is in the middle; or null.
export function centred(strokes) {
  const points = strokes.flat();
  if (!points.length) return null;
  const [left, top] = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
  const [right, bottom] = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
  const side = Math.max(right - left, bottom - top, inkLeast);
  const scale = (inkBox - 2 * inkPen) / side;
  const middle = [(left + right) / 2, (top + bottom) / 2];
  const placed = ([x, y]) =>
    strokes.map((stroke) => stroke.map((p) => [(p[0] - middle[0]) * scale + x, (p[1] - middle[1]) * scale + y]));
  const half = INK_SIDE / 2;
  const first = inked(placed([half, half]));
  const mass = inkMass(first);
  const pixels = inked(placed([2 * half - mass[0], 2 * half - mass[1]]));
  const room = inkPen / scale;
  const box = { x: middle[0] - side / 2 - room, y: middle[1] - side / 2 - room, side: side + 2 * room };
  const mean = [0, 1].map((axis) => middle[axis] + (mass[axis] - half) / scale);
  return { pixels: Uint8Array.from(pixels, (ink) => Math.round(255 * ink)), box, mass: mean };
}

// Strokes in pixels of the picture become ink from 0 to 1: full under the pen, and less where its edge cuts a pixel.
function inked(strokes) {
  const picture = new Float64Array(INK_SIDE * INK_SIDE);
  const reach = inkPen + 0.5;
  for (const stroke of strokes) {
    stroke.forEach((to, i) => {
      const from = stroke[Math.max(i - 1, 0)];
      const [x0, x1] = inkSpan(from[0], to[0], reach);
      const [y0, y1] = inkSpan(from[1], to[1], reach);
      for (let y = y0; y <= y1; y++) {
        for (let x = x0; x <= x1; x++) {
          const ink = Math.min(1, reach - inkDistance(x + 0.5, y + 0.5, from, to));
          const place = y * INK_SIDE + x;
          if (ink > picture[place]) picture[place] = ink;
        }
      }
    });
  }
  return picture;
}

// The first and the last pixel within reach of a piece of a line, along one axis.
function inkSpan(a, b, reach) {
  const inside = (at) => Math.min(INK_SIDE - 1, Math.max(0, Math.floor(at)));
  return [inside(Math.min(a, b) - reach), inside(Math.max(a, b) + reach)];
}

// How far a point is from the line between two others.
function inkDistance(x, y, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

// The mean place of the ink, in pixels from the upper left corner.
function inkMass(picture) {
  let [sum, x, y] = [0, 0, 0];
  picture.forEach((ink, i) => {
    sum += ink;
    x += ink * ((i % INK_SIDE) + 0.5);
    y += ink * (Math.floor(i / INK_SIDE) + 0.5);
  });
  return sum ? [x / sum, y / sum] : [INK_SIDE / 2, INK_SIDE / 2];
}

// Fills a square of a canvas with 28 by 28 values; `color` turns a value into [colour, opacity from 0 to 1]. With a
// side that 28 divides, no pixel falls between those of the screen.
export function drawPixels(context, values, { x = 0, y = 0, side, color }) {
  const size = side / INK_SIDE;
  values.forEach((value, i) => {
    const [fill, opacity] = color(value);
    if (opacity <= 0) return;
    context.globalAlpha = Math.min(1, opacity);
    context.fillStyle = fill;
    context.fillRect(x + (i % INK_SIDE) * size, y + Math.floor(i / INK_SIDE) * size, size, size);
  });
  context.globalAlpha = 1;
}
