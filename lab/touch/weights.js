// Trained networks and digits out of their text: whole numbers from -127 to 127, one scale for each column of a weight.
import { Linear, Parameter, ReLU, Sequential, Sigmoid, Softmax, Tanh } from "./net.js";

const weightsActivations = { ReLU, Tanh, Sigmoid, Softmax };

function weightsBytes(text, what) {
  let letters;
  try {
    letters = atob(text);
  } catch {
    throw new Error(`The ${what} cannot be read: base64 is expected.`);
  }
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// The bytes of `count` numbers of `size` bytes each.
function weightsNumbers(text, count, size, what) {
  const { buffer } = weightsBytes(text, what);
  if (buffer.byteLength === count * size) return buffer;
  const there = buffer.byteLength / size;
  throw new Error(`The ${what} do not fit their header: ${count} numbers are expected, and ${there} are there.`);
}

function weightsFloats(text, count, what) {
  const view = new DataView(weightsNumbers(text, count, 4, what)); // The lowest byte first, on every processor.
  return Float64Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
}

// The weight and the bias of one packed layer, in row order inFeatures x outFeatures.
export function unpacked(layer, name = "the layer") {
  const { in: inFeatures, out: outFeatures } = layer;
  if (![inFeatures, outFeatures].every((width) => Number.isInteger(width) && width >= 1))
    throw new Error(`The header of ${name} must say how many numbers go in and out; got ${inFeatures} and ${outFeatures}.`);
  const scale = weightsFloats(layer.scale, outFeatures, `scales of ${name}`);
  const bias = weightsFloats(layer.bias, outFeatures, `biases of ${name}`);
  const whole = new Int8Array(weightsNumbers(layer.weight, inFeatures * outFeatures, 1, `weights of ${name}`));
  const weight = new Float64Array(whole.length);
  for (let start = 0; start < weight.length; start += outFeatures) {
    for (let j = 0; j < outFeatures; j++) weight[start + j] = whole[start + j] * scale[j];
  }
  if (![...scale, ...bias].every(Number.isFinite)) throw new Error(`The numbers of ${name} must be finite.`);
  return { weight, bias, inFeatures, outFeatures };
}

// The network of a list of packed layers.
export function network(packed) {
  if (!Array.isArray(packed) || !packed.length) throw new Error("The network must be a list of layers; there is none.");
  let width = null;
  const modules = packed.map((layer, i) => {
    const name = `layer ${i + 1}`;
    const kind = layer?.kind;
    if (Object.hasOwn(weightsActivations, String(kind))) return new weightsActivations[kind]();
    if (kind !== "Linear") throw new Error(`The kind of ${name} is not known: "${kind}".`);
    const { weight, bias, inFeatures, outFeatures } = unpacked(layer, name);
    if (width !== null && width !== inFeatures)
      throw new Error(`The header of ${name} says that ${inFeatures} numbers go in, but ${width} come out of the one before.`);
    width = outFeatures;
    // Its weights are here already, so none are drawn.
    const parameters = { weight: new Parameter(weight), bias: new Parameter(bias) };
    return Object.assign(new Linear(1, 1, {}, "zeros"), { inFeatures, outFeatures, ...parameters });
  });
  return new Sequential(modules);
}

// Digits with their labels: bytes of ink, 784 for each; in the text a zero is followed by how many pixels are paper.
export function unpackedDigits({ labels, pixels }) {
  if (!/^[0-9]*$/.test(labels ?? "x")) throw new Error("The labels of the digits must be digits.");
  const short = weightsBytes(pixels, "pixels of the digits");
  const ink = new Uint8Array(784 * labels.length);
  let at = 0;
  for (let i = 0; i < short.length; i++) {
    if (short[i] === 0) at += short[++i];
    else ink[at++] = short[i];
  }
  if (at !== ink.length)
    throw new Error(`The digits do not fit their labels: ${ink.length} pixels are expected, and ${at} are there.`);
  return { labels: [...labels].map(Number), of: (i) => ink.subarray(784 * i, 784 * (i + 1)), count: labels.length };
}
