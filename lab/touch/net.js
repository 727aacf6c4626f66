// Networks in double precision: the layers, losses and optimizers of nnkit, equation by equation.
//
// An array is a flat Float64Array in row order; n is its number of rows, the samples of a batch.
// As in nnkit, forward keeps in `saved` what backward needs, each backward uses up one forward, and
// the loss alone takes the mean over the batch. A call overwrites what the last has returned.

function netRefuse(argument, expected, got) {
  throw new Error(`${argument} must be ${expected}; got ${got}`);
}

function netWhole(argument, value) {
  if (Number.isInteger(value) && value >= 1) return value;
  return netRefuse(argument, "a whole number of at least 1", value);
}

function netNumber(argument, value, below = Infinity) {
  if (typeof value === "number" && value >= 0 && value < below) return value;
  return netRefuse(argument, `at least 0 and below ${below}`, value);
}

function netSize(argument, array, size, what) {
  if (array?.length !== size) netRefuse(argument, `of length ${size}, ${what}`, array?.length ?? array);
}

function netRows(argument, array, n, columns) {
  netWhole("n", n);
  if (columns) netSize(argument, array, n * columns, `${n} rows of ${columns}`);
  if (array?.length && array.length % n === 0) return;
  netRefuse(argument, `of a length that n = ${n} divides`, array?.length ?? array);
}

function netOnce(owner) {
  const { saved, constructor } = owner;
  if (!saved) throw new Error(`${constructor.name} must go forward once before each backward; got none`);
  owner.saved = null;
  return saved;
}

// out += a b, a being n x k and b k x m: by two rows of a and four of b, for speed.
function netProduct(out, a, b, n, k, m) {
  const [rows, inner] = [n - (n % 2), k - (k % 4)];
  for (let row = 0; row < rows; row += 2) {
    for (let i = 0; i < inner; i += 4) {
      const at = row * k + i, to = at + k;
      const a0 = a[at], a1 = a[at + 1], a2 = a[at + 2], a3 = a[at + 3];
      const c0 = a[to], c1 = a[to + 1], c2 = a[to + 2], c3 = a[to + 3];
      for (let j = 0, p = i * m, o = row * m; j < m; j++, p++, o++) {
        const b0 = b[p], b1 = b[p + m], b2 = b[p + 2 * m], b3 = b[p + 3 * m];
        out[o] += a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3;
        out[o + m] += c0 * b0 + c1 * b1 + c2 * b2 + c3 * b3;
      }
    }
  }
  for (let row = 0; row < n; row++) {
    for (let i = row < rows ? inner : 0; i < k; i++) {
      for (let j = 0; j < m; j++) out[row * m + j] += a[row * k + i] * b[i * m + j];
    }
  }
  return out;
}

// An array that its owner makes once, since that costs more than filling it.
function netRoom(owner, name, size) {
  if (owner[name]?.length !== size) owner[name] = new Float64Array(size);
  return owner[name];
}

function netTurned(a, rows, columns) {
  const b = netRoom(netTurned, a.length, a.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) b[j * rows + i] = a[i * columns + j];
  return b;
}

// A standard normal number, after Box and Muller; next() lies in [0, 1).
const netNormal = (next) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

// Where a weight starts: Xavier (Glorot), Kaiming (He) and zeros.
export const INITIALIZERS = {
  xavier_normal: (fanIn, fanOut, next) => Math.sqrt(2 / (fanIn + fanOut)) * netNormal(next),
  xavier_uniform: (fanIn, fanOut, next) => Math.sqrt(6 / (fanIn + fanOut)) * (2 * next() - 1),
  kaiming_normal: (fanIn, fanOut, next) => Math.sqrt(2 / fanIn) * netNormal(next),
  kaiming_uniform: (fanIn, fanOut, next) => Math.sqrt(6 / fanIn) * (2 * next() - 1),
  zeros: () => 0,
};

export class Parameter {
  constructor(data) {
    this.data = data;
    this.grad = new Float64Array(data.length);
  }
}

export class Module {
  saved = null;
  inFeatures = null;
  parameters = () => [];

  // As backward, without dL/dx where that saves work.
  accumulate(grad, n) {
    this.backward(grad, n);
  }

  // Checks x, and returns an array for the output.
  begin(x, n, outFeatures = x?.length / n) {
    this.saved = null; // A pass that fails leaves none.
    netRows("x", x, n, this.inFeatures);
    this.rows = n;
    this.outputSize = n * outFeatures;
    return netRoom(this, "output", this.outputSize);
  }

  // Checks the gradient, and hands out what forward has saved, once.
  taken(grad, n) {
    if (this.saved && n !== this.rows) netRefuse("n", `${this.rows}, as in forward`, n);
    if (this.saved) netSize("grad", grad, this.outputSize, "as the output");
    return netOnce(this);
  }
}

// y = x W + b; weight is W, inFeatures rows of outFeatures, and bias is b.
export class Linear extends Module {
  constructor(inFeatures, outFeatures, { next } = {}, init = "xavier_normal") {
    super();
    this.inFeatures = netWhole("inFeatures", inFeatures);
    this.outFeatures = netWhole("outFeatures", outFeatures);
    if (!Object.hasOwn(INITIALIZERS, init)) netRefuse("init", `one of ${Object.keys(INITIALIZERS)}`, init);
    if (init !== "zeros" && typeof next !== "function") netRefuse("next", "a function to draw from", next);
    const draw = () => INITIALIZERS[init](inFeatures, outFeatures, next);
    this.weight = new Parameter(Float64Array.from({ length: inFeatures * outFeatures }, draw));
    this.bias = new Parameter(new Float64Array(outFeatures));
    this.parameters = () => [this.weight, this.bias];
  }

  forward(x, n) {
    const y = this.begin(x, n, this.outFeatures);
    for (let start = 0; start < y.length; start += this.outFeatures) y.set(this.bias.data, start);
    this.saved = x;
    return netProduct(y, x, this.weight.data, n, this.inFeatures, this.outFeatures);
  }

  // dL/dW = x^T grad, and dL/db is the sum of the rows of grad.
  accumulate(grad, n) {
    const x = netTurned(this.taken(grad, n), n, this.inFeatures);
    netProduct(this.weight.grad, x, grad, this.inFeatures, n, this.outFeatures);
    for (let i = 0; i < grad.length; i++) this.bias.grad[i % this.outFeatures] += grad[i];
  }

  // dL/dx = grad W^T.
  backward(grad, n) {
    this.accumulate(grad, n);
    const weight = netTurned(this.weight.data, this.inFeatures, this.outFeatures);
    const back = netRoom(this, "back", n * this.inFeatures).fill(0);
    return netProduct(back, grad, weight, n, this.outFeatures, this.inFeatures);
  }
}

// A function of each number, with its derivative from its value.
export class Elementwise extends Module {
  forward(x, n) {
    const y = this.begin(x, n);
    for (let i = 0; i < y.length; i++) y[i] = this.value(x[i]);
    return (this.saved = y);
  }

  backward(grad, n) {
    const y = this.taken(grad, n);
    const back = netRoom(this, "back", y.length);
    for (let i = 0; i < y.length; i++) back[i] = grad[i] * this.slope(y[i]);
    return back;
  }
}

export class ReLU extends Elementwise {
  value = (x) => Math.max(0, x);
  slope = (y) => (y > 0 ? 1 : 0);
}

export class Tanh extends Elementwise {
  value = Math.tanh;
  slope = (y) => 1 - y * y;
}

export class Sigmoid extends Elementwise {
  value = sigmoid;
  slope = (y) => y * (1 - y);
}

// 1 / (1 + e^-x), for any x without overflow.
export function sigmoid(x) {
  const decay = Math.exp(-Math.abs(x));
  return (x >= 0 ? 1 : decay) / (1 + decay);
}

// x less the logarithm of its row's sum of e^x, from shifted scores, which cannot overflow.
export function logSoftmax(x, n, y = new Float64Array(x.length)) {
  const k = x.length / n;
  for (let start = 0; start < x.length; start += k) {
    let [largest, sum] = [-Infinity, 0];
    for (let i = start; i < start + k; i++) largest = Math.max(largest, x[i]);
    for (let i = start; i < start + k; i++) {
      y[i] = x[i] - largest;
      sum += Math.exp(y[i]);
    }
    const logarithm = Math.log(sum);
    for (let i = start; i < start + k; i++) y[i] -= logarithm;
  }
  return y;
}

// y = e^x over its row's sum of e^x.
export class Softmax extends Module {
  forward(x, n) {
    this.begin(x, n);
    return (this.saved = logSoftmax(x, n).map(Math.exp));
  }

  // y (grad - the row's sum of grad y).
  backward(grad, n) {
    const y = this.taken(grad, n);
    const row = (i) => Math.floor((i * n) / y.length);
    const sums = new Float64Array(n);
    for (let i = 0; i < y.length; i++) sums[row(i)] += grad[i] * y[i];
    return y.map((p, i) => p * (grad[i] - sums[row(i)]));
  }
}

// Modules applied one after the other; what it returns is new.
export class Sequential extends Module {
  constructor(modules) {
    super();
    if (!Array.isArray(modules)) netRefuse("modules", "a list", modules);
    if (new Set(modules).size < modules.length) netRefuse("modules", "distinct", "one twice");
    this.modules = modules;
    this.parameters = () => modules.flatMap((module) => module.parameters());
  }

  forward(x, n) {
    return this.modules.reduce((output, module) => module.forward(output, n), x).slice();
  }

  backward(grad, n) {
    return this.modules.reduceRight((back, module) => module.backward(back, n), grad).slice();
  }

  accumulate(grad, n) {
    const [first, ...others] = this.modules;
    const back = others.reduceRight((back, module) => module.backward(back, n), grad);
    first?.accumulate(back, n);
  }
}

// How wrong predictions are.
export class Loss {
  saved = null;

  begin(pred, target, n, size = pred?.length) {
    this.saved = null;
    netRows("pred", pred, n);
    netSize("target", target, size, `beside ${pred.length} of pred`);
  }
}

// The mean of (pred - target)^2 over all N entries; the gradient is 2 / N (pred - target).
export class MSELoss extends Loss {
  forward(pred, target, n) {
    this.begin(pred, target, n);
    this.saved = Float64Array.from(pred, (value, i) => value - target[i]);
    return this.saved.reduce((sum, difference) => sum + difference * difference, 0) / pred.length;
  }

  backward() {
    return netOnce(this).map((difference, i, { length }) => (2 / length) * difference);
  }
}

// The mean over the rows of -log softmax(pred) at the target, a class from 0; the gradient is
// (softmax(pred) - t) / n, where t is 1 at the target and else 0.
export class CrossEntropyLoss extends Loss {
  forward(pred, target, n) {
    this.begin(pred, target, n, n);
    const k = pred.length / n;
    const logP = logSoftmax(pred, n, netRoom(this, "logP", pred.length));
    let sum = 0;
    for (let row = 0; row < n; row++) {
      const label = target[row];
      const fits = Number.isInteger(label) && label >= 0 && label < k;
      if (!fits) netRefuse(`target[${row}]`, `a whole number from 0 to ${k - 1}`, label);
      sum -= logP[row * k + label];
    }
    this.saved = { logP, target, n, k };
    return sum / n;
  }

  backward() {
    const { logP, target, n, k } = netOnce(this);
    const back = netRoom(this, "back", logP.length);
    for (let i = 0; i < back.length; i++) back[i] = Math.exp(logP[i]) / n;
    for (let row = 0; row < n; row++) back[row * k + target[row]] -= 1 / n;
    return back;
  }
}

// The mean of -t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)) over all N entries z, computed as
// max(z, 0) - z t + log(1 + e^-|z|), without overflow; the gradient is (sigmoid(z) - t) / N.
export class BCEWithLogitsLoss extends Loss {
  forward(pred, target, n) {
    this.begin(pred, target, n);
    let sum = 0;
    for (let i = 0; i < pred.length; i++) {
      const [z, t] = [pred[i], target[i]];
      if (!(t >= 0 && t <= 1)) netRefuse(`target[${i}]`, "a number from 0 to 1", t);
      sum += Math.max(z, 0) - z * t + Math.log1p(Math.exp(-Math.abs(z)));
    }
    this.saved = { pred, target };
    return sum / pred.length;
  }

  backward() {
    const { pred, target } = netOnce(this);
    return Float64Array.from(pred, (z, i) => (sigmoid(z) - target[i]) / pred.length);
  }
}

// weightDecay times a weight is added to its gradient.
export class Optimizer {
  steps = 0;

  constructor(parameters, lr, weightDecay) {
    if (!parameters?.length) netRefuse("parameters", "at least one Parameter", parameters);
    this.params = parameters;
    this.averages = () => parameters.map(({ data }) => new Float64Array(data.length));
    this.lr = netNumber("lr", lr);
    this.weightDecay = netNumber("weightDecay", weightDecay);
  }

  zeroGrad() {
    for (const { grad } of this.params) grad.fill(0);
  }

  step() {
    this.steps += 1;
    this.params.forEach(({ data, grad }, which) => this.update(data, grad, which));
  }
}

// v = momentum v + grad, then weight -= lr v.
export class SGD extends Optimizer {
  constructor(parameters, { lr, momentum = 0, weightDecay = 0 } = {}) {
    super(parameters, lr, weightDecay);
    this.momentum = netNumber("momentum", momentum, 1);
    this.velocity = this.averages();
  }

  update(weight, grad, which) {
    const { lr, momentum, weightDecay } = this;
    const v = this.velocity[which];
    for (let i = 0; i < weight.length; i++) {
      v[i] = momentum * v[i] + grad[i] + weightDecay * weight[i];
      weight[i] -= lr * v[i];
    }
  }
}

// m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2, both corrected for their start at
// zero, then weight -= lr m / (sqrt(v) + eps); the corrections stand in lr and eps.
export class Adam extends Optimizer {
  constructor(parameters, { lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = {}) {
    super(parameters, lr, weightDecay);
    this.beta1 = netNumber("beta1", beta1, 1);
    this.beta2 = netNumber("beta2", beta2, 1);
    this.eps = netNumber("eps", eps);
    [this.m, this.v] = [this.averages(), this.averages()];
  }

  update(weight, grad, which) {
    const { beta1, beta2, weightDecay, steps } = this;
    const [m, v] = [this.m[which], this.v[which]];
    const correctionV = Math.sqrt(1 - beta2 ** steps);
    const lr = (this.lr * correctionV) / (1 - beta1 ** steps);
    const eps = this.eps * correctionV;
    for (let i = 0; i < weight.length; i++) {
      const g = grad[i] + weightDecay * weight[i];
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      weight[i] -= (lr * m[i]) / (Math.sqrt(v[i]) + eps);
    }
  }
}
