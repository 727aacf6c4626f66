"""The engine of the widgets, net.js and smo.js, in a browser: nnkit is the oracle, in float64."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_moons

import nnkit as nn
from nnkit.estimators.kernels import Kernel, kernel_matrix
from nnkit.estimators.smo import SMO
from nnkit.initializers import INITIALIZERS
from tests.patience import PATIENCE

pytestmark = pytest.mark.site

TOUCH = Path(__file__).resolve().parents[2] / "lab" / "touch"
SOURCES = {name: (TOUCH / name).read_text(encoding="utf-8") for name in ("net.js", "smo.js")}
MAX_BYTES = 14_000
"""What net.js may take of the script of a page."""
STEPS, CLOSE = 50, 1e-10

_CALL = """async ([text, program, task]) => {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const engine = await import(url);
  URL.revokeObjectURL(url);
  const names = Object.keys(engine);
  return new Function(...names, "task", program)(...names.map((name) => engine[name]), task);
}"""

_NETWORK = """
const plain = (arrays) => arrays.map((array) => Array.from(array));
const kinds = { ReLU, Tanh, Sigmoid, Softmax };
const network = (layers) => new Sequential(layers.map((layer) => {
  if (typeof layer === "string") return new kinds[layer]();
  const [inFeatures, outFeatures, weight, bias] = layer;
  const linear = new Linear(inFeatures, outFeatures, {}, "zeros");
  linear.weight.data.set(weight);
  linear.bias.data.set(bias);
  return linear;
}));
const model = network(task.layers);
"""
_TRAIN = (
    _NETWORK
    + """
const loss = new { MSELoss, CrossEntropyLoss, BCEWithLogitsLoss }[task.loss]();
const optimizer = new { SGD, Adam }[task.optimizer](model.parameters(), task.options);
const losses = task.batches.map(([x, target, n]) => {
  optimizer.zeroGrad();
  const value = loss.forward(model.forward(Float64Array.from(x), n), Float64Array.from(target), n);
  model.accumulate(loss.backward(), n);
  optimizer.step();
  return value;
});
return { losses, weights: plain(model.parameters().map(({ data }) => data)) };
"""
)
_ONCE = (
    _NETWORK
    + """
const backs = task.batches.map(([x, grad, n]) => {
  const output = model.forward(Float64Array.from(x), n);
  return plain([output, model.backward(Float64Array.from(grad), n)]);
});
return { backs, grads: plain(model.parameters().map(({ grad }) => grad)) };
"""
)
_LOSS = """
const loss = new { MSELoss, CrossEntropyLoss, BCEWithLogitsLoss }[task.loss]();
const value = loss.forward(Float64Array.from(task.pred), task.target, task.n);
return { value, grad: Array.from(loss.backward()) };
"""
_START = """
let next = 0;
const linear = new Linear(task.shape[0], task.shape[1], { next: () => task.draws[next++] }, task.init);
return { weight: Array.from(linear.weight.data), bias: Array.from(linear.bias.data), drawn: next };
"""
_MACHINE = """
const [X, y] = [Float64Array.from(task.X), Float64Array.from(task.y)];
const machine = new SVC(task.options);
const pairs = [];
const objectives = [];
machine.start(X, y, task.n, task.d);
for (let pair; pairs.length < task.steps && (pair = machine.step()); ) {
  pairs.push(pair);
  objectives.push(machine.objective());
}
const decision = (i) => machine.decision(task.queries.slice(i * task.d, (i + 1) * task.d));
return {
  pairs, objectives, alpha: Array.from(machine.alpha), objective: machine.objective(), gap: machine.gap,
  bias: machine.bias, decisions: Array.from({ length: task.queries.length / task.d }, (_, i) => decision(i)),
  nIter: machine.nIter,
};
"""


class Engine:
    """The text of a module in a page: ``engine(program, task)`` runs a program that knows what the module exports."""

    def __init__(self, page: Any, text: str):
        self.page, self.text = page, text

    def __call__(self, program: str, task: Any = None) -> Any:
        return self.page.evaluate(_CALL, [self.text, program, task])


@pytest.fixture(scope="module")
def page(browser):
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield page
        assert problems == []


@pytest.fixture
def net(page):
    return Engine(page, SOURCES["net.js"])


@pytest.fixture
def smo(page):
    return Engine(page, SOURCES["smo.js"])


# The same network in both.

LOSSES = {"MSELoss": nn.MSELoss, "CrossEntropyLoss": nn.CrossEntropyLoss, "BCEWithLogitsLoss": nn.BCEWithLogitsLoss}
OPTIMIZERS: dict[str, tuple[str, dict[str, float]]] = {
    "SGD": ("SGD", {"lr": 0.3}),
    "SGD with decay": ("SGD", {"lr": 0.2, "weightDecay": 0.05}),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "momentum with decay": ("SGD", {"lr": 0.05, "momentum": 0.8, "weightDecay": 0.02}),
    "Adam": ("Adam", {"lr": 0.02}),
    "Adam with other constants": ("Adam", {"lr": 0.01, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3}),
    "Adam with decay": ("Adam", {"lr": 0.02, "weightDecay": 0.1}),
}
KINDS = {"ReLU": nn.ReLU, "Tanh": nn.Tanh, "Sigmoid": nn.Sigmoid, "Softmax": nn.Softmax}


def network(*parts: int | str, seed: int = 0) -> nn.Sequential:
    """Return a network in float64 from widths and the names of activations, with biases that are not zero."""
    rng = np.random.default_rng(seed)
    modules: list[nn.Module] = []
    width, *rest = parts
    for part in rest:
        if isinstance(part, str):
            modules.append(KINDS[part]())
            continue
        layer = nn.Linear(int(width), part, init="xavier_normal", rng=rng, dtype=np.float64)
        assert layer.bias is not None
        layer.bias.data[...] = rng.normal(size=part)
        modules.append(layer)
        width = part
    return nn.Sequential(*modules)


def described(model: nn.Sequential) -> list[Any]:
    """Return a network as the programs above read it."""
    return [
        [m.in_features, m.out_features, m.weight.data.ravel().tolist(), m.bias.data.tolist()]
        if isinstance(m, nn.Linear) and m.bias is not None
        else type(m).__name__
        for m in model.modules
    ]


def targets(loss: str, rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    if loss == "CrossEntropyLoss":
        return rng.integers(k, size=n)
    return rng.normal(size=(n, k)) if loss == "MSELoss" else rng.random((n, k))


def check_training(net: Engine, optimizer: str, loss: str) -> None:
    """Train in both for 50 steps from the same weights on the same batches, and compare every loss and weight."""
    rng = np.random.default_rng(1)
    model = network(5, 7, "Tanh", 6, "ReLU", 6, "Sigmoid", 3)
    start = described(model)
    batches = [(rng.normal(size=(n, 5)), targets(loss, rng, n, 3)) for n in rng.integers(1, 9, size=STEPS)]
    name, options = OPTIMIZERS[optimizer]

    given = dict(options)
    own: dict[str, Any] = {"lr": given.pop("lr"), "weight_decay": given.pop("weightDecay", 0.0)}
    if "beta1" in given:
        own["betas"] = given.pop("beta1"), given.pop("beta2")
    steps = getattr(nn, name)(model.parameters(), **own, **given)
    criterion = LOSSES[loss]()
    losses = []
    for X, target in batches:
        steps.zero_grad()
        losses.append(criterion(model(X), target))
        model.backward(criterion.backward())
        steps.step()

    plain = [[X.ravel().tolist(), target.ravel().tolist(), len(X)] for X, target in batches]
    task = {"layers": start, "batches": plain, "loss": loss, "optimizer": name, "options": options}
    found = net(_TRAIN, task)
    moved = [np.ptp(p.data) for p in model.parameters()]
    assert len(losses) == STEPS
    assert min(moved) > 0
    assert_allclose(found["losses"], losses, rtol=0, atol=CLOSE)
    for weights, parameter in zip(found["weights"], model.parameters(), strict=True):
        assert_allclose(weights, parameter.data.ravel(), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fifty_steps_end_in_the_weights_that_nnkit_has(net, optimizer, loss):
    check_training(net, optimizer, loss)


def check_passes(net: Engine, *parts: int | str) -> None:
    """Go forward and backward twice in both, and compare the outputs, dL/dx and the sums of dL/dW and dL/db."""
    rng = np.random.default_rng(2)
    model = network(*parts)
    task: dict[str, Any] = {"layers": described(model), "batches": []}
    expected = []
    for n in (5, 1):
        X = rng.normal(scale=2, size=(n, int(parts[0])))
        output = model(X)
        grad = rng.normal(size=output.shape)
        task["batches"].append([X.ravel().tolist(), grad.ravel().tolist(), n])
        expected += [output, model.backward(grad)]
    found = net(_ONCE, task)
    backs = [array for back in found["backs"] for array in back]
    for array, value in zip(backs, expected, strict=True):
        assert_allclose(array, value.ravel(), rtol=0, atol=CLOSE)
    for array, parameter in zip(found["grads"], model.parameters(), strict=True):
        assert_allclose(array, parameter.grad.ravel(), rtol=0, atol=CLOSE)


@pytest.mark.parametrize(
    "parts",
    [
        (1, 1),
        (3, 2),
        (4, 5),
        (6, 9),
        (7, "ReLU"),
        (4, "Tanh"),
        (4, "Sigmoid"),
        (4, "Softmax"),
        (2, 3, "Tanh", 1),
        (5, 6, "Softmax", 3, "ReLU"),
        (64, 32, "ReLU", 10),
    ],
    ids=str,
)
def test_forward_and_backward_are_nnkits(net, parts):
    check_passes(net, *parts)


def check_extremes(net: Engine) -> None:
    """Compare the functions where their plain forms overflow."""
    X = np.array([[1e3, -1e3, 0.0], [-750, -745, -800], [710.0, 709, -40], [1e-9, -1e-9, 40]])
    for name, kind in KINDS.items():
        module = kind()
        output = module(X)
        back = module.backward(np.ones_like(X))
        ones = np.ones(X.size).tolist()
        found = net(_ONCE, {"layers": [name], "batches": [[X.ravel().tolist(), ones, len(X)]]})["backs"][0]
        assert_allclose(found[0], output.ravel(), rtol=1e-14, atol=1e-300)
        assert_allclose(found[1], back.ravel(), rtol=0, atol=1e-14)
    for name, loss in LOSSES.items():
        target = np.array([1, 2, 0, 1]) if name == "CrossEntropyLoss" else np.eye(4, 3)
        criterion = loss()
        value = criterion(X, target)
        task = {"loss": name, "pred": X.ravel().tolist(), "target": target.ravel().tolist(), "n": len(X)}
        found = net(_LOSS, task)
        assert np.isfinite(value)
        assert_allclose(found["value"], value, rtol=1e-13)
        assert_allclose(found["grad"], criterion.backward().ravel(), rtol=1e-13, atol=1e-15)


def test_nothing_overflows_far_from_zero(net):
    check_extremes(net)


def test_a_network_that_has_diverged_gives_nan_and_no_error(net):
    task = {"loss": "CrossEntropyLoss", "pred": [float("nan"), 1.0], "target": [0], "n": 1}
    assert np.isnan(net(_LOSS, task)["value"])


def check_start(net: Engine, init: str) -> None:
    """Compare the mean and variance of a layer's first weights with nnkit's, and its draws with the formula."""
    shape, rng = (30, 50), np.random.default_rng(3)
    n = shape[0] * shape[1]
    draws = rng.random(2 * n)
    found = net(_START, {"shape": shape, "draws": draws.tolist(), "init": init})
    weight = np.array(found["weight"])
    assert found["bias"] == [0] * 50
    oracle = INITIALIZERS[init]((300, 500), rng) * (10**0.5)  # The same rule, for fans ten times as wide.
    assert_allclose(weight.mean(), 0, atol=4 * oracle.std() / n**0.5)
    assert_allclose(weight.std(), oracle.std(), rtol=0.08)
    if init.endswith("uniform"):
        assert found["drawn"] == n
        assert_allclose(np.abs(weight).max(), np.abs(oracle).max(), rtol=0.02)
    elif init.endswith("normal"):
        assert found["drawn"] == 2 * n
        assert_allclose((weight / weight.std() > 1).mean(), 0.1587, atol=0.03)
        assert np.abs(weight).max() > 3 * weight.std()
    else:
        assert found["drawn"] == 0


@pytest.mark.parametrize("init", INITIALIZERS)
def test_weights_start_with_nnkits_variance(net, init):
    check_start(net, init)


def test_a_network_returns_new_arrays_though_its_layers_use_theirs_again(net):
    program = """const layer = new Linear(1, 1, {}, "zeros");
      layer.weight.data[0] = 2;
      const model = new Sequential([layer]);
      const [first, second] = [model.forward([1], 1), model.forward([3], 1)];
      const back = model.backward([1], 1);
      model.forward([1], 1);
      model.backward([5], 1);
      const rows = model.forward([1, 2, 3], 3);
      return [first, second, back, rows, layer.forward([4], 1)].map((array) => [...array]);"""
    assert net(program) == [[2], [6], [2], [2, 4, 6], [8]]


def test_net_is_small_and_needs_nothing(net):
    assert len(SOURCES["net.js"].encode()) <= MAX_BYTES
    for name, text in SOURCES.items():
        assert not re.search(r"\bimport\b|\brequire\b|\bfetch\b", text), name


# The support vector machine.


def points(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    if name == "blobs":
        y = np.repeat([1.0, -1.0], 20)
        return rng.normal(size=(40, 2)) + 1.2 * y[:, None], y
    if name == "moons":
        X, labels = make_moons(120, noise=0.3, random_state=0)
        return X, 2.0 * labels - 1
    if name == "duplicates":  # Some of them have both labels.
        X = np.repeat(rng.integers(3, size=(15, 2)).astype(float), 3, axis=0)
        return X, np.where(rng.random(45) < 0.5, 1.0, -1.0)
    if name == "nearly on a line":
        t = rng.normal(size=(50, 1))
        X = np.hstack([t, 2 * t + 1e-4 * rng.normal(size=(50, 1)), 1e-5 * rng.normal(size=(50, 1))])
        return X, np.where(t[:, 0] + 0.3 * rng.normal(size=50) > 0, 1.0, -1.0)
    if name == "two":
        return np.array([[0.0, 0], [1, 2]]), np.array([-1.0, 1])
    X = rng.normal(size=(300, 2))
    return X, np.where(X[:, 0] * X[:, 1] + 0.2 * rng.normal(size=300) > 0, 1.0, -1.0)


POINTS = ("blobs", "moons", "duplicates", "nearly on a line", "two", "as many as may be")


def machine(smo: Engine, X: np.ndarray, y: np.ndarray, steps: int = 10**6, **options: Any) -> dict[str, Any]:
    """Take up to so many steps, and return what is known then, with decisions at some points and elsewhere."""
    rng = np.random.default_rng(5)
    queries = np.vstack([X[:10], rng.normal(scale=2, size=(10, X.shape[1]))])
    task = {"X": X.ravel().tolist(), "y": y.tolist(), "n": len(X), "d": X.shape[1], "steps": steps}
    found = smo(_MACHINE, task | {"options": options, "queries": queries.ravel().tolist()})
    return found | {"queries": queries}


def check_machine(smo: Engine, name: str, kernel: str, C: float, gamma: float = 0.7) -> None:
    """Compare the objective with nnkit's, the decisions, and the conditions that every solution meets."""
    X, y = points(name)
    tol = 1e-7
    oracle = nn.SVC(C, kernel=kernel, gamma=gamma, tol=tol).fit(X, y)
    found = machine(smo, X, y, C=C, kernel=kernel, gamma=gamma, tol=tol)
    alpha = np.array(found["alpha"])
    assert found["gap"] < tol
    assert_allclose(found["objective"], oracle.dual_objective_[0], rtol=1e-6)
    assert alpha.min() >= 0
    assert alpha.max() <= C
    assert_allclose(alpha @ y, 0, atol=1e-10 * C * len(X))
    assert found["nIter"] == len(found["pairs"])
    assert (np.diff([0, *found["objectives"]]) > -1e-10 * max(1, found["objective"])).all()
    # Slopes of a solution are within the gap of each other, and so are decisions; the bias without free ones is free.
    decisions = oracle.decision_function(found["queries"])
    assert_allclose(found["decisions"], decisions, rtol=0, atol=1e-5 * max(1, np.abs(decisions).max()))
    assert_allclose(found["bias"], oracle.intercept_[0], rtol=0, atol=1e-5 * max(1, abs(oracle.intercept_[0])))


@pytest.mark.parametrize("C", [0.03, 1, 30])
@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("name", POINTS)
def test_the_machine_finds_the_objective_and_decisions_of_nnkit(smo, name, kernel, C):
    check_machine(smo, name, kernel, C)


def check_pairs(smo: Engine, C: float = 1.5, kernel: str = "rbf", tol: float = 1e-3) -> None:
    """Follow the pairs with nnkit's SMO: it would have taken each, and none after the last.

    Where two slopes are equal up to rounding, as those of the last pair often are, it might have taken the other.
    """
    X, y = points("moons")
    gamma = 0.9
    oracle = SMO(kernel_matrix(Kernel(kernel, gamma), X), y, C)
    K = oracle.K
    found = machine(smo, X, y, 5_000, C=C, kernel=kernel, gamma=gamma, tol=tol)
    assert len(found["pairs"]) > 20
    for i, j in found["pairs"]:
        assert oracle.gap > tol * (1 - 1e-6)
        slope = oracle.up[i] - oracle.low
        curvature = np.maximum(K[i, i] - 2 * K[i] + K.diagonal(), 1e-12)
        gain = slope * np.abs(slope) / curvature
        assert oracle.up[i] > oracle.up.max() - 1e-8
        assert gain[j] > gain.max() * (1 - 1e-6)
        oracle.move(i, j)
    assert oracle.gap < tol * (1 + 1e-6)
    alpha = np.array(found["alpha"])
    assert_allclose(alpha, y * oracle.coef, rtol=0, atol=1e-9)
    assert_allclose(found["objective"], oracle.objective, rtol=1e-9)
    assert_allclose(found["gap"], oracle.gap, rtol=1e-6)
    assert_allclose(found["bias"], oracle.bias, rtol=0, atol=1e-9)
    # Those at a bound are exactly there.
    assert (alpha == C).sum() == (y * oracle.coef == C).sum() > 5
    assert (alpha == 0).sum() == (oracle.coef == 0).sum() > 5


@pytest.mark.parametrize("tol", [0.1, 1e-3])
@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_the_machine_moves_pairs_that_nnkit_would_move_and_stops_at_the_gap(smo, kernel, tol):
    check_pairs(smo, kernel=kernel, tol=tol)


def test_the_machine_stops_where_rounding_hides_the_gap(smo):
    X, y = points("blobs")
    found = machine(smo, 1e4 * X, y, steps=200_000, C=1e6, kernel="linear", tol=1e-12)
    assert found["nIter"] < 200_000


def test_fit_is_start_and_every_step(smo):
    X, y = points("blobs")
    stepped = machine(smo, X, y, C=1, kernel="rbf", gamma=1)
    task = {"X": X.ravel().tolist(), "y": y.tolist()}
    program = """const machine = new SVC({ C: 1, gamma: 1 }).fit(task.X, task.y, 40, 2);
      const { alpha, nIter } = machine;
      const again = machine.fit(task.X, task.y, 40, 2, 3).nIter;
      return [Array.from(alpha), nIter, again];"""
    assert smo(program, task) == [stepped["alpha"], stepped["nIter"], 3]


# Bad input.

REFUSED = [
    ("new Linear(2, 3, {}, 'zeros').forward([1, 2, 3], 2)", "x must be of length 4, 2 rows of 2; got 3"),
    ("new Tanh().forward([], 1)", "x must be of a length that n = 1 divides; got 0"),
    ("new Tanh().forward(undefined, 1)", "x must be of a length that n = 1 divides; got undefined"),
    ("new Softmax().forward([1, 2, 3], 2)", "x must be of a length that n = 2 divides; got 3"),
    ("new ReLU().forward([1, 2, 3], 1.5)", "n must be a whole number of at least 1; got 1.5"),
    ("new ReLU().forward([1, 2, 3])", "n must be a whole number of at least 1; got undefined"),
    ("new Linear(2, 0, {}, 'zeros')", "outFeatures must be a whole number of at least 1; got 0"),
    ("new Linear(2.5, 1, {}, 'zeros')", "inFeatures must be a whole number of at least 1; got 2.5"),
    ("new Linear(2, 2)", "next must be a function to draw from; got undefined"),
    ("new Linear(2, 2, {}, 'ones')", "init must be one of xavier_normal,.*zeros; got ones"),
    ("new Linear(2, 2, {}, 'toString')", "init must be one of xavier_normal,.*; got toString"),
    (
        "const t = new Tanh(); t.forward([1], 1); t.backward([1], 1); t.backward([1], 1)",
        "Tanh must go forward once before each backward; got none",
    ),
    (
        "const m = new Sequential([new Tanh(), new ReLU()]); m.forward([1], 1); m.backward([1], 1); m.backward([1], 1)",
        "ReLU must go forward once before each backward; got none",
    ),
    (
        "const m = new Linear(1, 1, {}, 'zeros'); m.forward([1], 1); m.accumulate([1], 1); m.backward([1], 1)",
        "Linear must go forward once before each backward; got none",
    ),
    (
        "const t = new Tanh(); t.forward([1], 1); try { t.forward([], 1) } catch {} t.backward([1], 1)",
        "Tanh must go forward once before each backward; got none",
    ),
    (
        "const l = new MSELoss(); l.forward([1], [0], 1); l.backward(); l.backward()",
        "MSELoss must go forward once before each backward; got none",
    ),
    (
        "const t = new Tanh(); t.forward([1, 2], 1); t.backward([1], 1)",
        "grad must be of length 2, as the output; got 1",
    ),
    ("const t = new Softmax(); t.forward([1, 2], 1); t.backward([1, 2], 2)", "n must be 1, as in forward; got 2"),
    ("new Sequential(new Tanh())", "modules must be a list; got .+"),
    ("const t = new Tanh(); new Sequential([t, t])", "modules must be distinct; got one twice"),
    ("new MSELoss().forward([1, 2], [1], 1)", "target must be of length 2, beside 2 of pred; got 1"),
    ("new MSELoss().forward([], [], 1)", "pred must be of a length that n = 1 divides; got 0"),
    (
        "new CrossEntropyLoss().forward([1, 2], [0, 1], 1)",
        "target must be of length 1, beside 2 of pred; got 2",
    ),
    (
        "new CrossEntropyLoss().forward([1, 2, 3, 4], [0, 2], 2)",
        r"target\[1\] must be a whole number from 0 to 1; got 2",
    ),
    ("new CrossEntropyLoss().forward([1, 2], [-1], 1)", r"target\[0\] must be a whole number from 0 to 1; got -1"),
    ("new CrossEntropyLoss().forward([1, 2], [0.5], 1)", r"target\[0\] must be a whole number from 0 to 1; got 0.5"),
    ("new BCEWithLogitsLoss().forward([1, 2], [0, 1.5], 2)", r"target\[1\] must be a number from 0 to 1; got 1.5"),
    ("new BCEWithLogitsLoss().forward([1], [NaN], 1)", r"target\[0\] must be a number from 0 to 1; got NaN"),
    ("new SGD([], { lr: 1 })", "parameters must be at least one Parameter; got .*"),
    ("new SGD([new Parameter([1])])", "lr must be at least 0 and below Infinity; got undefined"),
    ("new Adam([new Parameter([1])], { lr: -1 })", "lr must be at least 0 and below Infinity; got -1"),
    ("new Adam([new Parameter([1])], { lr: '0.1' })", "lr must be at least 0 and below Infinity; got 0.1"),
    (
        "new SGD([new Parameter([1])], { lr: 1, momentum: 1 })",
        "momentum must be at least 0 and below 1; got 1",
    ),
    (
        "new SGD([new Parameter([1])], { lr: 1, weightDecay: -0.1 })",
        "weightDecay must be at least 0 and below Infinity; got -0.1",
    ),
    ("new Adam([new Parameter([1])], { beta2: 2 })", "beta2 must be at least 0 and below 1; got 2"),
    (
        "new SVC().start(new Float64Array(602), new Float64Array(301), 301, 2)",
        "n must be from 2 to 300 points; got 301",
    ),
    ("new SVC().start([1], [1], 1, 1)", "n must be from 2 to 300 points; got 1"),
    ("new SVC().start([], [1, -1], 2, 0)", "d must be a whole number of at least 1; got 0"),
    ("new SVC().start([1, 2, 3], [1, -1], 2, 2)", "X must be of length 4, 2 rows of 2; got 3"),
    ("new SVC().start([1, 2], [1], 2, 1)", "y must be of length 2, a label for each point; got 1"),
    ("new SVC().start([1, 2], [1, 0], 2, 1)", r"y\[1\] must be 1 or -1; got 0"),
    ("new SVC().start([1, 2], [1, 1], 2, 1)", "y must be labels of both classes, 1 and -1; got 1 alone"),
    ("new SVC().start([1, Infinity], [1, -1], 2, 1)", r"X\[1\] must be a finite number; got Infinity"),
    ("new SVC({ C: 0 })", "C must be a finite number above 0; got 0"),
    ("new SVC({ gamma: -1 })", "gamma must be a finite number above 0; got -1"),
    ("new SVC({ tol: 0 })", "tol must be a finite number above 0; got 0"),
    ("new SVC({ kernel: 'poly' })", 'kernel must be "rbf" or "linear"; got poly'),
    ("new SVC().fit([1, 2], [1, -1], 2, 1).decision([1, 2])", "x must be of length 1; got 2"),
    ("new SVC().decision([1])", "SVC must start before it can decide; it has no points yet"),
    ("new SVC().step()", "SVC must start before it can step; it has no points yet"),
]
"""What one may get wrong, and the sentence that says so."""


@pytest.mark.parametrize(("program", "sentence"), REFUSED, ids=[program for program, _ in REFUSED])
def test_what_cannot_be_is_refused_in_a_sentence(page, program, sentence):
    file = "smo.js" if "SVC" in program else "net.js"
    caught = f"try {{ {program} }} catch (error) {{ return [error.constructor.name, error.message]; }}"
    name, message = Engine(page, SOURCES[file])(caught)
    assert name == "Error"
    assert re.fullmatch(sentence, message), message


# Bugs, each of which must be seen.

PLANTED: list[tuple[tuple[Any, ...], str, str]] = [
    ((check_passes, 3, 2), "y.set(this.bias.data, start)", "y.fill(0, start)"),
    ((check_passes, 3, 2), "i < k; i++) {", "i < k - 1; i++) {"),
    ((check_passes, 3, 2), "bias.grad[i % this.outFeatures] += grad[i]", "bias.grad[i % this.outFeatures] = grad[i]"),
    ((check_passes, 3, 2), "netProduct(back, grad, weight,", "netProduct(back, grad, this.weight.data,"),
    ((check_passes, 6, 9), "i < inner; i += 4", "i < inner; i += 5"),
    ((check_passes, 6, 9), "c2 * b2 + c3 * b3", "c2 * b2 + a3 * b3"),
    ((check_passes, 6, 9), "row < rows ? inner : 0", "inner"),
    ((check_passes, 4, 5), "b[j * rows + i] = a[i * columns + j]", "b[i * columns + j] = a[i * columns + j]"),
    ((check_passes, 7, "ReLU"), "(y > 0 ? 1 : 0)", "(y >= 0 ? 1 : 0)"),
    ((check_passes, 4, "Tanh"), "1 - y * y", "1 - y"),
    ((check_passes, 4, "Sigmoid"), "y * (1 - y)", "1 - y"),
    ((check_passes, 4, "Sigmoid"), "(x >= 0 ? 1 : decay) / (1 + decay)", "1 / (1 + decay)"),
    ((check_extremes,), "(x >= 0 ? 1 : decay) / (1 + decay)", "Math.exp(x) / (1 + Math.exp(x))"),
    ((check_extremes,), "y[i] = x[i] - largest", "y[i] = x[i]"),
    ((check_extremes,), "Math.log1p(Math.exp(-Math.abs(z)))", "Math.log1p(Math.exp(-z))"),
    ((check_passes, 4, "Softmax"), "p * (grad[i] - sums", "p * (grad[i] + sums"),
    ((check_training, "SGD", "MSELoss"), "(2 / length) * difference", "difference / length"),
    ((check_training, "SGD", "MSELoss"), "grad.fill(0)", "grad.length"),
    (
        (check_training, "SGD", "CrossEntropyLoss"),
        "back[row * k + target[row]] -= 1 / n",
        "back[row * k + target[row]] -= 1",
    ),
    ((check_training, "SGD", "CrossEntropyLoss"), "Math.exp(logP[i]) / n", "Math.exp(logP[i])"),
    ((check_training, "SGD", "CrossEntropyLoss"), "return sum / n;", "return sum;"),
    ((check_training, "SGD", "BCEWithLogitsLoss"), "(sigmoid(z) - target[i]) / pred.length", "sigmoid(z) - target[i]"),
    (
        (check_training, "momentum", "MSELoss"),
        "v[i] = momentum * v[i] + grad[i]",
        "v[i] = momentum * v[i] + (1 - momentum) * grad[i]",
    ),
    ((check_training, "SGD with decay", "MSELoss"), "+ grad[i] + weightDecay * weight[i]", "+ grad[i]"),
    (
        (check_training, "Adam with decay", "MSELoss"),
        "const g = grad[i] + weightDecay * weight[i]",
        "const g = grad[i]",
    ),
    ((check_training, "Adam", "MSELoss"), "/ (1 - beta1 ** steps)", ""),
    ((check_training, "Adam", "MSELoss"), "beta2 = 0.999", "beta2 = 0.99"),
    (
        (check_training, "Adam with other constants", "MSELoss"),
        "const eps = this.eps * correctionV",
        "const eps = this.eps",
    ),
    ((check_training, "Adam with other constants", "MSELoss"), "Math.sqrt(v[i]) + eps", "Math.sqrt(v[i] + eps)"),
    ((check_start, "xavier_normal"), "Math.sqrt(2 / (fanIn + fanOut)) * netNormal", "Math.sqrt(2 / fanIn) * netNormal"),
    ((check_start, "kaiming_uniform"), "Math.sqrt(6 / fanIn)", "Math.sqrt(2 / fanIn)"),
    ((check_start, "kaiming_normal"), "Math.sqrt(-2 * Math.log(1 - next()))", "Math.sqrt(-Math.log(1 - next()))"),
    ((check_machine, "blobs", "rbf", 1), "Math.exp(-this.gamma * sum)", "Math.exp(-sum)"),
    (
        (check_machine, "blobs", "rbf", 1),
        "slope[k] -= step * (K[i * n + k] - K[j * n + k])",
        "slope[k] -= step * K[i * n + k]",
    ),
    ((check_machine, "blobs", "rbf", 1), "let sum = this.bias", "let sum = -this.bias"),
    ((check_machine, "blobs", "rbf", 1), "return sum / 2", "return sum"),
    ((check_pairs,), "K[i * n + i] - 2 * K[i * n + j]", "K[i * n + i] - K[i * n + j]"),
    ((check_pairs,), "const gain = difference ** 2 / this.curvature(i, k)", "const gain = difference"),
    ((check_pairs,), "alpha[i] = y[i] > 0 ? C : 0", "alpha[i] = y[i] > 0 ? C - 1e-12 : 1e-12"),
    ((check_pairs,), "if (gap < this.tol ||", "if (gap < 0.1 ||"),
    ((check_pairs,), "if (gap < this.tol ||", "if (gap < this.tol / 9 ||"),
    (
        (check_machine, "moons", "rbf", 1),
        "const step = Math.min(top, roomI, roomJ)",
        "const step = Math.min(top, roomI)",
    ),
    ((check_machine, "moons", "rbf", 1), "alpha[j] = y[j] > 0 ? 0 : C", "alpha[j] = y[j] > 0 ? C : 0"),
    ((check_machine, "moons", "rbf", 1), "this.alpha[i] > 0 && this.alpha[i] < this.C", "this.alpha[i] > 0"),
    ((check_machine, "two", "rbf", 0.03), "? sum / free : (up + low) / 2", "? sum / free : up"),
]
"""The comparison that must fail when something else stands instead of a piece of the engine."""


@pytest.mark.parametrize(
    ("check", "right", "wrong"), PLANTED, ids=[f"{right} -> {wrong}" for _, right, wrong in PLANTED]
)
def test_a_planted_bug_is_seen(page, check, right, wrong):
    (text,) = [text for text in SOURCES.values() if right in text]
    compare, *arguments = check
    with pytest.raises(AssertionError):
        compare(Engine(page, text.replace(right, wrong)), *arguments)
