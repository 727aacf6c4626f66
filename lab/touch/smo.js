// A support vector machine by sequential minimal optimization, pair by pair, after nnkit's SMO.
//
// With labels y of +1 and -1, multipliers alpha and coef = y alpha, the dual problem is to maximize
//     sum y coef - sum coef K coef / 2    with  sum coef = 0  and every  0 <= alpha <= C.
// A step raises one coefficient and lowers another by as much, which keeps the sum. That gains as
// long as the one that may rise has the greater slope, y - K coef. If there is no such pair, the
// solution is found.

const SMO_MOST = 300; // points, whose kernel is one matrix
const SMO_TAU = 1e-12; // The least curvature. Between duplicates it is zero.

function smoRefuse(argument, expected, got) {
  throw new Error(`${argument} must be ${expected}; got ${got}`);
}

function smoPositive(argument, value) {
  if (Number.isFinite(value) && value > 0) return value;
  return smoRefuse(argument, "a finite number above 0", value);
}

export class SVC {
  // C is the price of violating the margin, tol the gap at which the problem counts as solved.
  constructor({ C = 1, kernel = "rbf", gamma = 1, tol = 1e-3 } = {}) {
    if (!["rbf", "linear"].includes(kernel)) smoRefuse("kernel", '"rbf" or "linear"', kernel);
    this.C = smoPositive("C", C);
    this.kernel = kernel;
    this.gamma = smoPositive("gamma", gamma);
    this.tol = smoPositive("tol", tol);
  }

  // Takes n points of d numbers, with labels of +1 and -1, some of each; all multipliers are zero.
  start(X, y, n, d) {
    if (!(Number.isInteger(n) && n >= 2 && n <= SMO_MOST)) smoRefuse("n", `from 2 to ${SMO_MOST} points`, n);
    if (!(Number.isInteger(d) && d >= 1)) smoRefuse("d", "a whole number of at least 1", d);
    if (X?.length !== n * d) smoRefuse("X", `of length ${n * d}, ${n} rows of ${d}`, X?.length ?? X);
    if (y?.length !== n) smoRefuse("y", `of length ${n}, a label for each point`, y?.length ?? y);
    X.forEach((value, i) => Number.isFinite(value) || smoRefuse(`X[${i}]`, "a finite number", value));
    y.forEach((label, i) => label === 1 || label === -1 || smoRefuse(`y[${i}]`, "1 or -1", label));
    if (new Set(y).size < 2) smoRefuse("y", "labels of both classes, 1 and -1", `${y[0]} alone`);
    this.X = Float64Array.from(X);
    this.y = Float64Array.from(y);
    this.n = n;
    this.d = d;
    this.alpha = new Float64Array(n);
    this.slope = this.y.slice(); // y - K coef, of which every coef is zero
    this.nIter = 0;
    this.K = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        this.K[i * n + j] = this.K[j * n + i] = this.product(this.X, i * d, this.X, j * d);
      }
    }
  }

  // The kernel of a point that begins at i in A, and one that begins at j in B.
  product(A, i, B, j) {
    let sum = 0;
    if (this.kernel === "linear") {
      for (let k = 0; k < this.d; k++) sum += A[i + k] * B[j + k];
      return sum;
    }
    for (let k = 0; k < this.d; k++) sum += (A[i + k] - B[j + k]) ** 2;
    return Math.exp(-this.gamma * sum);
  }

  // A coefficient rises as the multiplier of a point of class 1 does, and as that of class -1 falls.
  mayRise(i) {
    return this.y[i] > 0 ? this.alpha[i] < this.C : this.alpha[i] > 0;
  }

  mayFall(i) {
    return this.y[i] > 0 ? this.alpha[i] > 0 : this.alpha[i] < this.C;
  }

  // The greatest slope of those that may rise, and the least of those that may fall.
  ends() {
    let [up, low] = [-Infinity, Infinity];
    for (let i = 0; i < this.n; i++) {
      if (this.mayRise(i)) up = Math.max(up, this.slope[i]);
      if (this.mayFall(i)) low = Math.min(low, this.slope[i]);
    }
    return [up, low];
  }

  // How far the conditions of Karush, Kuhn and Tucker are from being met.
  get gap() {
    const [up, low] = this.ends();
    return up - low;
  }

  // What double precision rounds off a slope: no gap below it can be closed.
  get rounding() {
    const sum = this.alpha.reduce((a, b) => a + b, 0);
    let largest = 0;
    for (let i = 0; i < this.n; i++) largest = Math.max(largest, this.K[i * (this.n + 1)]);
    return Number.EPSILON * largest * sum;
  }

  // The pair to move: i may rise and has the greatest slope; with j, which may fall, a step would
  // gain most if there were no bounds (Fan, Chen and Lin, 2005). Null if the gap is closed.
  select() {
    const { n, slope } = this;
    const gap = this.gap;
    if (gap < this.tol || gap < this.rounding) return null;
    let i = -1;
    for (let k = 0; k < n; k++) if (this.mayRise(k) && (i < 0 || slope[k] > slope[i])) i = k;
    let [j, most] = [-1, 0];
    for (let k = 0; k < n; k++) {
      const difference = slope[i] - slope[k];
      if (!this.mayFall(k) || difference <= 0) continue;
      const gain = difference ** 2 / this.curvature(i, k);
      if (gain > most) [j, most] = [k, gain];
    }
    return [i, j];
  }

  curvature(i, j) {
    const { K, n } = this;
    return Math.max(K[i * n + i] - 2 * K[i * n + j] + K[j * n + j], SMO_TAU);
  }

  started(verb) {
    if (!this.alpha) throw new Error(`SVC must start before it can ${verb}; it has no points yet`);
  }

  // Moves one pair to the top of the objective, or to the first bound; null if there is none to move.
  step() {
    this.started("step");
    const pair = this.select();
    if (!pair) return null;
    const [i, j] = pair;
    const { alpha, C, K, n, slope, y } = this;
    const roomI = y[i] > 0 ? C - alpha[i] : alpha[i];
    const roomJ = y[j] > 0 ? alpha[j] : C - alpha[j];
    const top = (slope[i] - slope[j]) / this.curvature(i, j);
    const step = Math.min(top, roomI, roomJ);
    // Adding the step could miss a bound by a rounding error.
    if (step === roomI) alpha[i] = y[i] > 0 ? C : 0;
    else alpha[i] += y[i] * step;
    if (step === roomJ) alpha[j] = y[j] > 0 ? 0 : C;
    else alpha[j] -= y[j] * step;
    for (let k = 0; k < n; k++) slope[k] -= step * (K[i * n + k] - K[j * n + k]);
    this.nIter += 1;
    return pair;
  }

  // Takes steps until there is no pair to move, or maxIter of them.
  fit(X, y, n, d, maxIter = 1_000_000) {
    this.start(X, y, n, d);
    while (this.nIter < maxIter && this.step());
    return this;
  }

  // The mean slope of the coefficients between their bounds, or the middle of the gap without any.
  get bias() {
    let [sum, free] = [0, 0];
    for (let i = 0; i < this.n; i++) {
      if (this.alpha[i] > 0 && this.alpha[i] < this.C) [sum, free] = [sum + this.slope[i], free + 1];
    }
    const [up, low] = this.ends();
    return free ? sum / free : (up + low) / 2;
  }

  // The dual objective, sum y coef - sum coef K coef / 2.
  objective() {
    let sum = 0;
    for (let i = 0; i < this.n; i++) sum += this.alpha[i] * this.y[i] * (this.y[i] + this.slope[i]);
    return sum / 2;
  }

  // The sum over the support vectors of coef K(x, ·), plus the bias: above 0 for class 1.
  decision(x) {
    this.started("decide");
    if (x?.length !== this.d) smoRefuse("x", `of length ${this.d}`, x?.length ?? x);
    let sum = this.bias;
    for (let i = 0; i < this.n; i++) {
      if (this.alpha[i] > 0) sum += this.alpha[i] * this.y[i] * this.product(this.X, i * this.d, x, 0);
    }
    return sum;
  }
}
