"""fit, predict, evaluate, History and callbacks: what is recorded, what is restored, and when training stops."""

import functools
import math
import pickle
import warnings
from collections.abc import Mapping

import numpy as np
import pytest

from nnkit import (
    SGD,
    Adam,
    AdamW,
    BatchNorm1d,
    Callback,
    CosineLR,
    CrossEntropyLoss,
    DivergenceWarning,
    Dropout,
    EarlyStopping,
    Flatten,
    History,
    Linear,
    Loss,
    Module,
    MSELoss,
    Parameter,
    ReLU,
    RMSprop,
    Sequential,
    StepLR,
    Tanh,
    accuracy,
    clip_grad_norm,
    evaluate,
    fit,
    make_blobs,
    predict,
)


def network(dtype=np.float64):
    return Sequential(Linear(2, 6, rng=1, dtype=dtype), Tanh(), Linear(6, 2, rng=2, dtype=dtype))


def regularized_network(seed=0):
    return Sequential(
        Linear(2, 6, rng=1, dtype=np.float64),
        BatchNorm1d(6, dtype=np.float64),
        Tanh(),
        Dropout(0.3, rng=seed),
        Linear(6, 2, rng=2, dtype=np.float64),
    )


def run(model=None, X=None, y=None, *, n=30, loss=None, lr=0.1, seed=0, **options):
    """Train on blobs with small defaults; return the model and the history."""
    model = network() if model is None else model
    if X is None:
        X, y = make_blobs(n, rng=0)
    options = {"epochs": 2, "batch_size": 8, **options}
    return model, fit(model, loss or CrossEntropyLoss(), SGD(model.parameters(), lr), X, y, rng=seed, **options)


def weights(model):
    return np.concatenate([parameter.data.ravel() for parameter in model.parameters()])


def right(y_true, y_pred):
    return float((y_pred.argmax(axis=1) == y_true).mean())


class Spy(Callback):
    """Records the calls it receives."""

    def __init__(self, log, name="spy", stop_after=None):
        self.log, self.name, self.stop_after = log, name, stop_after

    def on_train_begin(self, state):
        self.log.append((self.name, "begin", state.epoch))

    def on_epoch_end(self, state):
        self.log.append((self.name, "epoch", state.epoch))
        return state.epoch == self.stop_after

    def on_train_end(self, state):
        self.log.append((self.name, "end", state.epoch))


class Keep(Callback):
    """Keeps something from each epoch; by default, the model's state."""

    def __init__(self, look=lambda state: state.model.state_dict()):
        self.look, self.values = look, []

    def on_epoch_end(self, state):
        self.values.append(self.look(state))


class Scripted(Callback):
    """Puts prepared numbers into the history as if they had been measured; must precede callbacks that read them."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, state):
        state.history.values_by_name.setdefault(self.name, []).append(self.values[state.epoch - 1])


class Raising(Callback):
    """Raises given errors at the end of an epoch or of training."""

    def __init__(self, error, epoch=None):
        self.error, self.epoch = error, epoch

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            raise self.error

    def on_train_end(self, state):
        if self.epoch is None:
            raise self.error


class Breaking(Loss):
    """Returns given values, call by call, with zero gradient."""

    def __init__(self, values):
        self.values = iter(values)

    def forward(self, pred, target):
        self.saved = pred
        return next(self.values)

    def backward(self):
        return np.zeros_like(self.saved)


# Epochs


@pytest.mark.parametrize(("n", "batch_size"), [(30, 8), (32, 8), (5, 100), (7, 1), (9, 9)])
@pytest.mark.parametrize("max_grad_norm", [None, 0.05])
def test_fit_matches_a_training_loop_by_hand(n, batch_size, max_grad_norm):
    X, y = make_blobs(n, rng=0)
    options = {"epochs": 3, "batch_size": batch_size, "metrics": [right], "max_grad_norm": max_grad_norm}
    model, history = run(X=X, y=y, seed=5, **options)

    by_hand, loss, rng = network(), CrossEntropyLoss(), np.random.default_rng(5)
    optimizer = SGD(by_hand.parameters(), 0.1)
    for epoch in range(3):
        order, total, n_right = rng.permutation(n), 0.0, 0
        for start in range(0, n, batch_size):
            batch = order[start : start + batch_size]
            optimizer.zero_grad()
            pred = by_hand(X[batch])
            total += loss(pred, y[batch]) * len(batch)
            n_right += (pred.argmax(axis=1) == y[batch]).sum()
            by_hand.backward(loss.backward())
            if max_grad_norm is not None:
                assert clip_grad_norm(by_hand.parameters(), max_grad_norm) > max_grad_norm
            optimizer.step()
        assert history["loss"][epoch] == pytest.approx(total / n, rel=1e-14)
        assert history["right"][epoch] == pytest.approx(n_right / n)
    np.testing.assert_array_equal(weights(model), weights(by_hand))


def test_fit_with_dropout_and_batch_norm_matches_a_loop_by_hand():
    X, y = make_blobs(20, rng=0)
    model, history = run(regularized_network(), X, y, epochs=3, seed=5, validation_data=(X, y))

    by_hand, loss, rng = regularized_network(), CrossEntropyLoss(), np.random.default_rng(5)
    optimizer = SGD(by_hand.parameters(), 0.1)
    for epoch in range(3):
        order = rng.permutation(20)
        by_hand.train()
        for start in range(0, 20, 8):
            batch = order[start : start + 8]
            optimizer.zero_grad()
            loss(by_hand(X[batch]), y[batch])
            by_hand.backward(loss.backward())
            optimizer.step()
        # Validation must draw nothing and leave the running statistics alone, or the next epoch would differ.
        assert history["val_loss"][epoch] == loss(by_hand.eval()(X), y)
    np.testing.assert_equal(model.state_dict(), by_hand.state_dict())


def test_each_epoch_visits_every_sample_once_in_a_new_order():
    seen = []

    class Watched(Linear):
        def forward(self, x):
            if self.training:
                seen.extend(x[:, 0])
            return super().forward(x)

    X = np.arange(11.0)[:, None]
    run(Watched(1, 1, rng=0), X, X, loss=MSELoss(), lr=0.0, epochs=3, batch_size=4, validation_data=(X, X))
    epochs = np.array(seen).reshape(3, 11)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(11), (3, 1)))
    assert not np.array_equal(epochs[0], epochs[1])


def test_targets_stay_with_their_inputs():
    X = np.arange(20.0)[:, None]
    model = Linear(1, 1, init="zeros", dtype=np.float64)
    model.weight.data[:] = 3
    _, history = run(model, X, 3 * X, loss=MSELoss(), lr=0.0, epochs=2, batch_size=6)
    np.testing.assert_array_equal(history["loss"], 0)


def test_images_and_target_rows_are_batched_along_the_first_axis(rng):
    X, y = rng.normal(size=(10, 2, 3)), rng.normal(size=(10, 4))
    model, history = run(Sequential(Flatten(), Linear(6, 4, rng=0)), X, y, loss=MSELoss(), batch_size=4)
    assert history.n_epochs == 2
    assert predict(model, X).shape == (10, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_inputs_as_targets_train_like_a_copy_of_them(dtype, rng):
    X = (9 * rng.uniform(size=(20, 2))).astype(dtype)
    (first, one), (second, two) = (run(X=X, y=y, loss=MSELoss(), validation_data=(X, y)) for y in (X, X.copy()))
    np.testing.assert_array_equal(weights(first), weights(second))
    for name in ("loss", "val_loss"):
        np.testing.assert_array_equal(one[name], two[name])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_as_targets_are_converted_and_gathered_once(dtype, rng):
    shared = []

    class Watched(MSELoss):
        def forward(self, pred, target):
            shared.append(np.shares_memory(pred, target))
            return super().forward(pred, target)

    class Identity(Linear):  # returns the same object that it was given
        def forward(self, x):
            super().forward(x)
            return x

    X = rng.normal(size=(20, 2)).astype(dtype)
    run(Identity(2, 2, rng=0), X, X, loss=Watched(), lr=0.0, validation_data=(X, X))
    run(Identity(2, 2, rng=0), X, X.copy(), loss=Watched(), lr=0.0, epochs=1)
    # Two epochs of three batches, each followed by validation on the whole output of predict; and once more.
    assert shared == [True, True, True, False] * 2 + [False] * 3


@pytest.mark.parametrize("X", [[[0, 1], [1, 0], [1, 1], [0, 0]], np.array([0, 1, 1, 0])], ids=["lists", "classes"])
def test_data_may_be_lists_and_integers(X):
    model = Sequential(Flatten(), Linear(np.ndim(X), 2, rng=0))
    for y in (X, [0, 1, 1, 0]):
        loss = CrossEntropyLoss() if np.ndim(y) == 1 else MSELoss()
        assert np.isfinite(run(model, X, y, loss=loss)[1]["loss"]).all()


def test_training_learns_and_leaves_data_and_dtype_unchanged():
    X, y = make_blobs(200, spread=0.3, rng=0)
    X = X.astype(np.float64)
    kept = X.copy(), y.copy()
    model, _ = run(network(np.float32), X, y, epochs=10, validation_data=(X, y))
    assert right(y, predict(model, X)) > 0.99
    assert {parameter.data.dtype for parameter in model.parameters()} == {np.dtype(np.float32)}
    np.testing.assert_equal((X, y), kept)


def test_fit_continues_from_the_optimizer_state():
    X, y = make_blobs(20, rng=0)

    def trained(parts):
        model, rng = network(), np.random.default_rng(0)
        optimizer = Adam(model.parameters())
        for epochs in parts:
            fit(model, CrossEntropyLoss(), optimizer, X, y, epochs=epochs, batch_size=8, rng=rng)
        return weights(model)

    np.testing.assert_array_equal(trained([4]), trained([1, 3]))


# Reproducibility


def test_seeds_determine_everything():
    X, y = make_blobs(20, rng=1)
    model, history = run(regularized_network(3), seed=3)
    for seed, options in ((3, {}), (np.random.default_rng(3), {}), (3, {"validation_data": (X, y)})):
        same, again = run(regularized_network(3), seed=seed, **options)
        np.testing.assert_array_equal(weights(same), weights(model))
        np.testing.assert_array_equal(again["loss"], history["loss"])
    for other in (run(regularized_network(3), seed=4), run(regularized_network(4), seed=3)):
        assert not np.array_equal(weights(other[0]), weights(model))


def test_global_random_state_is_untouched():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    run(seed=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Validation and metrics


def test_validation_values_match_evaluate():
    X, y = make_blobs(25, rng=1)
    keep = Keep(lambda state: evaluate(state.model, CrossEntropyLoss(), X, y, metrics=[right]))
    model, history = run(epochs=3, validation_data=(X, y), metrics=[right], callbacks=[keep])
    assert [scores["loss"] for scores in keep.values] == list(history["val_loss"])
    assert [scores["right"] for scores in keep.values] == list(history["val_right"])
    assert keep.values[-1] == {"loss": CrossEntropyLoss()(model(X), y), "right": right(y, model(X))}


def test_metrics_receive_the_true_values_first():
    def difference(y_true, y_pred):
        return float((y_true - y_pred).sum())

    X = np.arange(6.0)[:, None]
    model = Linear(1, 1, init="zeros", dtype=np.float64)
    metrics = {"difference": difference, "largest": lambda y_true, y_pred: y_true.max()}
    _, history = run(model, X, X + 1, loss=MSELoss(), lr=0.0, batch_size=6, metrics=metrics, epochs=1)
    assert (history["difference"][0], history["largest"][0]) == (21, 6)
    assert evaluate(model, MSELoss(), X, X + 1, metrics=[difference])["difference"] == 21


def test_fit_accepts_accuracy_as_a_metric():
    X, y = make_blobs(30, rng=0)
    model, history = run(X=X, y=y, metrics=[accuracy], validation_data=(X, y))
    assert history["val_accuracy"][-1] == right(y, predict(model, X))


def test_history_has_one_value_per_epoch_under_each_name():
    X, y = make_blobs(10, rng=1)
    _, history = run(epochs=3, validation_data=(X, y), metrics=[right])
    assert set(history) == {"loss", "right", "seconds", "val_loss", "val_right"}
    assert {len(values) for values in history.values()} == {3}
    assert (history["seconds"] > 0).all()


@pytest.mark.parametrize("name", ["loss", "seconds", "val_loss"])
def test_metric_names_must_not_clash_with_history_names(name):
    with pytest.raises(ValueError, match=f"metrics .*'{name}'"):
        run(metrics={name: right})


@pytest.mark.parametrize("metrics", [[functools.partial(right)], [lambda y, pred: 0.0, lambda y, pred: 1.0]])
def test_unnamed_metrics_need_a_dict(metrics):
    with pytest.raises(ValueError, match="metrics must be a dict"):
        run(metrics=metrics)


# Modes and modules


def test_model_trains_in_training_mode_and_ends_in_evaluation_mode():
    modes = []

    class Watched(Tanh):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    X, y = make_blobs(8, rng=0)
    model = Sequential(Linear(2, 2, rng=0), Watched()).eval()
    run(model, X, y, epochs=2, batch_size=8, validation_data=(X, y))
    assert modes == [True, False, True, False]
    assert not any(module.training for _, module in model.named_modules())


def test_fit_never_computes_the_gradient_of_the_data():
    class Watched(Sequential):
        def backward(self, grad):
            raise AssertionError("this gradient is never used")

        def accumulate(self, grad):
            super().accumulate(grad)

    np.testing.assert_array_equal(weights(run(Watched(*network()))[0]), weights(run()[0]))


def test_custom_module_can_be_trained(rng):
    class Scale(Module):
        def __init__(self):
            self.factor = Parameter(np.array(1.0))

        def forward(self, x):
            self.saved = x
            return self.factor.data * x

        def backward(self, grad):
            x = self.saved
            self.factor.grad += (grad * x).sum()
            return grad * self.factor.data

    X = rng.normal(size=(50, 1))
    model, _ = run(Sequential(Scale()), X, 3 * X, loss=MSELoss(), epochs=20)
    assert model[0].factor.data == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize("base", [Linear, Sequential])
def test_first_layer_overriding_only_backward_is_trained_by_it(base):
    class Still(base):
        def backward(self, grad):
            kept = [parameter.grad.copy() for parameter in self.parameters()]
            passed = super().backward(grad)
            for parameter, value in zip(self.parameters(), kept, strict=True):
                parameter.grad[...] = value
            return passed

    first = Still(2, 2, rng=0) if base is Linear else Still(Linear(2, 2, rng=0))
    before = first.state_dict()
    model, _ = run(Sequential(first, Tanh(), Linear(2, 2, rng=1)), epochs=1, batch_size=30)
    np.testing.assert_equal(first.state_dict(), before)
    assert model[2].bias.data.any()


def test_custom_loss_needs_no_base_class():
    class Half:
        def __call__(self, pred, target):
            self.difference = pred - target
            return float((self.difference**2).sum() / 2)

        def backward(self):
            return self.difference

    _, history = run(Linear(2, 1, rng=0), np.ones((4, 2)), np.ones((4, 1)), loss=Half(), lr=0.01)
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.parametrize(("n", "batch_size"), [(17, 8), (8, 1), (1, 8)])
def test_batch_of_one_is_rejected_before_training_with_batch_norm(n, batch_size):
    model = regularized_network()
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"batch_size .* 1, BatchNorm"):
        run(model, n=n, batch_size=batch_size)
    np.testing.assert_equal(model.state_dict(), before)
    assert not model.training
    run(network(), n=n, batch_size=batch_size)


def test_layer_can_stay_frozen_during_fit():
    class Frozen(BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    model = Sequential(Frozen(2), Linear(2, 2, rng=0))
    run(model, n=9, batch_size=4)  # While frozen, it also accepts a batch of one.
    np.testing.assert_array_equal(model[0].running_mean, 0)
    assert model[0].weight.grad.any()


# Failures that the loss does not show


def deep(*, scale=1.0, activation=ReLU):
    model = Sequential(Linear(2, 8, rng=1), activation(), Linear(8, 8, rng=2), activation(), Linear(8, 2, rng=3))
    model[0].weight.data *= np.float32(scale)
    return model


def scaled_blobs(scale):
    X, y = make_blobs(64, rng=0)
    return X * np.float32(scale), y


@pytest.mark.parametrize(("optimizer", "average"), [(Adam, "v"), (AdamW, "v"), (RMSprop, "s")])
def test_frozen_weight_stops_training_and_is_named(optimizer, average):
    X, y = scaled_blobs(1e25)
    model = deep()
    with pytest.warns(DivergenceWarning, match=rf"diverged in epoch 1: .* the {average} of 0.weight"):
        history = fit(model, CrossEntropyLoss(), optimizer(model.parameters()), X, y, epochs=30, rng=0)
    assert np.isfinite(history["loss"]).all()
    assert history.stop_reason.startswith("diverged in epoch 1")


@pytest.mark.parametrize(
    ("model", "lr", "options"),
    [
        (deep(), 1.0, {"epochs": 10}),  # On inputs far outside [0, 1], the first steps turn off every ReLU.
        (deep(scale=1e4, activation=Tanh), 0.1, {"epochs": 10}),  # Saturated: 1 - tanh(x)^2 is zero in float32.
        (deep(scale=1e4, activation=Tanh), 0.1, {"epochs": 1}),  # All the steps of a short training count.
    ],
    ids=["dead", "saturated", "saturated, short"],
)
def test_weights_without_gradient_are_reported_once_with_the_remedy(model, lr, options):
    X, y = scaled_blobs(255)
    with pytest.warns(DivergenceWarning) as caught:
        _, history = run(model, X, y, lr=lr, **options)
    assert len(caught) == 1
    assert caught[0].filename.endswith("test_training.py")
    message = str(caught[0].message)
    assert "no gradient reached 0.weight" in message
    assert f"they reach {np.abs(X).max():g}" in message
    assert f"a smaller learning rate than {lr:g}" in message
    assert history.stop_reason.startswith(f"all {options['epochs']} epochs done, but no gradient reached 0.weight")


@pytest.mark.parametrize(
    ("scale", "make"),
    [
        (1, lambda params: SGD(params, 1e-12)),
        (1, lambda params: Adam(params, 1e-12)),
        (1e-25, lambda params: Adam(params)),  # The squares underflow, so only eps is left in the denominator.
    ],
)
def test_steps_lost_in_rounding_are_reported(scale, make):
    X, y = scaled_blobs(scale)
    model = deep()
    with pytest.warns(DivergenceWarning, match="0.weight.* had not moved by the end of epoch 2: .* rounding"):
        history = fit(model, CrossEntropyLoss(), make(model.parameters()), X, y, epochs=4, batch_size=8, rng=0)
    assert "but 0.weight" in history.stop_reason


def test_training_that_only_looks_stuck_is_not_reported():
    X, y = scaled_blobs(1)
    with warnings.catch_warnings(action="error"):
        model = deep()
        model[4].weight.data[...] = 0  # Blocks the gradient to earlier layers from the first step.
        run(model, X, y, batch_size=64, epochs=12)
        run(deep(), X, y, batch_size=64, epochs=1)  # A single step proves nothing.
        # A linear model at its minimum: the gradient is exactly zero, but the loss is not.
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        line = Linear(2, 1, rng=0, init="zeros")
        line.bias.data[...] = 0.5
        run(line, corners, np.array([[0], [1], [1], [0]], np.float32), loss=MSELoss(), epochs=20)
        # All ReLUs may be zero for a single sample, as in a last batch of one.
        run(Sequential(Linear(2, 2, rng=0), ReLU(), Linear(2, 2, rng=1)), X[:33], y[:33], batch_size=1, epochs=12)
        run(deep(), X, y, lr=0, epochs=12)  # The caller asked for it.


# Callbacks


def test_hooks_are_called_in_order_with_the_current_state():
    log = []

    def hook(name):
        def write(self, state):
            log.append((name, state.epoch, state.optimizer.steps, state.history.n_epochs, state.model.training))

        return write

    names = [name for name in vars(Callback) if name.startswith("on_")]
    Everything = type("Everything", (Callback,), {name: hook(name) for name in names})
    run(n=5, batch_size=3, epochs=2, callbacks=[Everything()])

    def epoch(number, steps, training):
        begin, middle, end = ((number, n, number - 1) for n in (steps, steps + 1, steps + 2))
        return [
            ("on_epoch_begin", *begin, training),
            ("on_batch_begin", *begin, True),
            ("on_batch_end", *middle, True),
            ("on_batch_begin", *middle, True),
            ("on_batch_end", *end, True),
            ("on_epoch_end", number, steps + 2, number, False),
        ]

    begin, end = ("on_train_begin", 0, 0, 0, True), ("on_train_end", 2, 4, 2, False)
    assert log == [begin, *epoch(1, 0, True), *epoch(2, 2, False), end]


def test_batch_hooks_see_the_loss_and_gradients_of_their_batch():
    losses, X = [], np.arange(10.0)[:, None]
    model = Linear(1, 1, init="zeros", dtype=np.float64)

    class Look(Callback):
        def on_train_begin(self, state):
            assert (state.epochs, state.n_batches) == (2, 3)
            assert state.names == ["loss", "seconds"]
            np.testing.assert_array_equal(state.X, X)

        def on_epoch_begin(self, state):
            losses.append([])

        def on_batch_begin(self, state):
            self.before = model.weight.data.copy()

        def on_batch_end(self, state):
            losses[-1].append(state.loss)
            np.testing.assert_allclose(model.weight.data, self.before - 0.01 * model.weight.grad)

    _, history = run(model, X, 2 * X, loss=MSELoss(), lr=0.01, batch_size=4, callbacks=[Look()])
    np.testing.assert_allclose([np.average(epoch, weights=[4, 4, 2]) for epoch in losses], history["loss"])


def test_callbacks_run_in_order_and_may_come_from_a_generator():
    log = []
    run(epochs=2, callbacks=(Spy(log, name) for name in "ab"))
    assert log == [
        ("a", "begin", 0), ("b", "begin", 0),
        ("a", "epoch", 1), ("b", "epoch", 1),
        ("a", "epoch", 2), ("b", "epoch", 2),
        ("b", "end", 2), ("a", "end", 2),
    ]  # fmt: skip


def test_every_callback_sees_the_epoch_in_which_one_requests_a_stop():
    log = []
    _, history = run(epochs=5, callbacks=[Spy(log, "a", stop_after=2), Spy(log, "b")])
    assert ("b", "epoch", 2) in log
    assert log[-2:] == [("b", "end", 2), ("a", "end", 2)]
    assert history.n_epochs == 2
    assert history.stop_reason == "a callback stopped it after epoch 2"


def test_base_callback_does_nothing():
    np.testing.assert_array_equal(weights(run(callbacks=[Callback()])[0]), weights(run()[0]))


def test_every_started_callback_ends_and_all_errors_are_shown():
    log, first = [], ValueError("first")
    callbacks = [Raising(OSError("second")), Raising(first, 2), Spy(log)]
    with pytest.raises(OSError, match="second") as caught:
        run(epochs=5, callbacks=callbacks)
    assert caught.value.__context__ is first
    assert log == [("spy", "begin", 0), ("spy", "epoch", 1), ("spy", "end", 2)]

    class NeverBegins(Spy):
        def on_train_begin(self, state):
            raise first

    log.clear()
    with pytest.raises(ValueError, match="first"):
        run(callbacks=[Spy(log, "a"), NeverBegins(log, "b"), Spy(log, "c")])
    assert log == [("a", "begin", 0), ("a", "end", 0)]


def test_error_in_on_train_end_lets_other_callbacks_end():
    log = []
    with pytest.raises(OSError, match="only"):
        run(callbacks=[Raising(OSError("only")), Spy(log)])
    assert log[-1] == ("spy", "end", 2)


def test_interrupted_training_ends_in_evaluation_mode_and_records_why():
    reasons = []

    class Look(Callback):
        def on_train_end(self, state):
            reasons.append(state.history.stop_reason)
            assert not state.model.training

    with pytest.raises(KeyboardInterrupt):
        run(callbacks=[Look(), Raising(KeyboardInterrupt(), 2)])
    assert reasons == ["KeyboardInterrupt in epoch 2"]


# Schedules and clipping


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda optimizer: StepLR(optimizer, 2, 0.5), [0.8, 0.8, 0.4, 0.4]),
        (lambda optimizer: CosineLR(optimizer, 4), [0.8, 0.4 * (1 + 0.5**0.5), 0.4, 0.4 * (1 - 0.5**0.5)]),
    ],
    ids=["StepLR", "CosineLR"],
)
def test_fit_follows_the_schedule_across_two_calls(make, expected):
    rates = []

    class Rates(Callback):
        def on_epoch_begin(self, state):
            rates.append(state.optimizer.lr)

    model = network()
    optimizer = SGD(model.parameters(), 0.8)
    schedule = make(optimizer)
    X, y = make_blobs(20, rng=0)
    for _ in range(2):
        fit(model, CrossEntropyLoss(), optimizer, X, y, epochs=2, callbacks=[Rates()], scheduler=schedule, rng=0)
    np.testing.assert_allclose(rates, expected)


def test_schedule_needs_only_step_which_also_runs_after_the_last_epoch():
    class Halving:
        def step(self):
            optimizer.lr /= 2

    model = network()
    optimizer = SGD(model.parameters(), 0.8)
    X, y = make_blobs(20, rng=0)
    keep = Keep(lambda state: state.optimizer.lr)
    callbacks = [keep, Spy([], stop_after=2)]
    fit(model, CrossEntropyLoss(), optimizer, X, y, epochs=3, callbacks=callbacks, scheduler=Halving(), rng=0)
    assert keep.values == [0.4, 0.2]


def test_no_step_is_longer_than_rate_times_max_norm():
    model = network()
    keep = Keep(lambda state: weights(state.model))
    run(model, epochs=3, batch_size=30, lr=1000.0, max_grad_norm=1e-3, callbacks=[keep])
    norms = np.linalg.norm(np.diff([weights(network()), *keep.values], axis=0), axis=1)
    assert 0.99 < norms.max() <= 1


def test_max_norm_that_is_never_reached_changes_nothing():
    np.testing.assert_array_equal(weights(run(max_grad_norm=1e9)[0]), weights(run()[0]))


def test_clipping_does_not_hide_divergence():
    class Steep(Breaking):
        def backward(self):
            return np.full_like(self.saved, np.inf)

    with pytest.warns(DivergenceWarning, match="its loss or its weights are no longer finite"):
        _, history = run(Linear(2, 2, rng=0), loss=Steep([1.0] * 4), y=np.ones((30, 2)), X=np.ones((30, 2)))
    assert history.n_epochs == 1


# EarlyStopping

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "options", "n_epochs", "best"),
    [
        ([5, 4, 4.5, 4.2, 4.1, 1], {"patience": 3}, 5, (2, 4)),
        ([5, 6, 4, 5, 3, 4, 4, 1], {"patience": 2}, 7, (5, 3)),  # Patience restarts after each new best value.
        ([5, 6, 6, 1], {"patience": 2}, 3, (1, 5)),
        ([3, 2, 1], {"patience": 1}, 3, (3, 1)),
        ([5, 5, 5, 5], {"patience": 2}, 3, (1, 5)),
        ([5.0, 4.95, 4.92, 4.0], {"patience": 2, "min_delta": 0.1}, 3, (1, 5)),
        ([0.5, 0.7, 0.6, 0.65, 0.9], {"patience": 2, "mode": "max", "monitor": "val_accuracy"}, 4, (2, 0.7)),
        ([NAN, 5, 4, NAN, NAN, 1], {"patience": 2, "monitor": "val_error"}, 5, (3, 4)),
    ],
    ids=["waits", "starts again", "stops", "runs out", "equal", "small gains", "maximum", "NaN"],
)
def test_early_stopping_stops_after_patience_epochs_without_improvement(values, options, n_epochs, best):
    stopping = EarlyStopping(**options)
    scripted = Scripted(values, stopping.monitor)
    _, history = run(epochs=len(values), callbacks=[scripted, stopping])
    assert history.n_epochs == n_epochs
    assert (stopping.best_epoch, stopping.best_value) == best
    if n_epochs < len(values):
        reason = f"stopped early after epoch {n_epochs}: {stopping.monitor} was best in epoch {best[0]}"
        assert history.stop_reason == reason
    else:
        assert history.stop_reason == f"all {n_epochs} epochs done"


def test_early_stopping_stops_if_the_value_is_always_nan():
    stopping = EarlyStopping("val_error", patience=2)
    _, history = run(epochs=5, callbacks=[Scripted([NAN] * 5, "val_error"), stopping])
    assert history.n_epochs == 2
    assert stopping.best_epoch == 0
    assert math.isnan(stopping.best_value)
    assert history.stop_reason == "stopped early after epoch 2: val_error was never a finite number"


class Interrupted(CrossEntropyLoss):
    """Interrupts in the middle of the third epoch; each has four batches."""

    n_calls = 0

    def forward(self, pred, target):
        self.n_calls += 1
        if self.n_calls == 10:
            raise KeyboardInterrupt
        return super().forward(pred, target)


@pytest.mark.parametrize(
    ("epochs", "options", "error"),
    [
        (5, {}, None),
        (3, {}, None),
        (9, {"callbacks": [Raising(KeyboardInterrupt(), 3)]}, KeyboardInterrupt),
        (9, {"loss": Interrupted()}, KeyboardInterrupt),
    ],
    ids=["stopped", "ran out", "interrupted", "interrupted in a batch"],
)
def test_early_stopping_restores_weights_and_running_statistics_from_the_best_epoch(epochs, options, error):
    model, keep = regularized_network(), Keep()
    callbacks = [keep, Scripted([5, 4, 6, 7, 8]), EarlyStopping(patience=3), *options.pop("callbacks", [])]
    if error is None:
        run(model, epochs=epochs, callbacks=callbacks, **options)
    else:
        with pytest.raises(error):
            run(model, epochs=epochs, callbacks=callbacks, **options)
    assert not np.array_equal(keep.values[0]["1.running_var"], keep.values[1]["1.running_var"])
    np.testing.assert_equal(model.state_dict(), keep.values[1])
    assert not model.training


def test_early_stopping_can_keep_the_last_weights():
    model, keep = network(), Keep()
    run(model, epochs=3, callbacks=[keep, Scripted([5, 4, 6]), EarlyStopping(patience=3, restore_best=False)])
    np.testing.assert_equal(model.state_dict(), keep.values[2])


def test_early_stopping_can_be_reused():
    seen = []

    class Look(Callback):
        def on_train_begin(self, state):
            seen.append((stopping.best_epoch, math.isnan(stopping.best_value)))

    stopping = EarlyStopping(patience=2)
    run(epochs=2, callbacks=[Scripted([1, 2]), stopping, Look()])
    assert stopping.best_value == 1
    _, history = run(epochs=4, callbacks=[Scripted([9, 8, 7, 6]), stopping, Look()])
    assert seen == [(0, True)] * 2
    assert history.n_epochs == 4
    assert stopping.best_value == 6


@pytest.mark.parametrize(
    ("monitor", "hint"), [("val_loss", "'val_loss'; give fit validation_data"), ("accuracy", "'accuracy'")]
)
def test_early_stopping_lists_the_available_values(monitor, hint):
    with pytest.raises(ValueError, match=rf"monitor must be one of \['loss', 'seconds'\]; got {hint}$"):
        run(callbacks=[EarlyStopping(monitor)])


@pytest.mark.parametrize(
    ("options", "error"),
    [({"mode": "up"}, ValueError), ({"patience": 0}, ValueError), ({"min_delta": -1}, ValueError),
     ({"monitor": 3}, TypeError)],
)  # fmt: skip
def test_early_stopping_validates_its_arguments(options, error):
    with pytest.raises(error, match=next(iter(options))):
        EarlyStopping(**options)


# Divergence


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_stops_training_with_a_warning(bad):
    log, options = [], {"epochs": 5, "batch_size": 4, "metrics": {"one": lambda y_true, y_pred: 1.0}}
    with pytest.warns(DivergenceWarning, match=r"training diverged in epoch 2: .* a smaller learning rate than 0\.1"):
        model, history = run(
            X=np.ones((8, 2)), y=np.ones((8, 2)), loss=Breaking([1.0, 1.0, 1.0, bad]), callbacks=[Spy(log)], **options
        )
    # A partial epoch has no mean, so neither of its values may be a number.
    np.testing.assert_array_equal(history["loss"], [1, bad])
    np.testing.assert_array_equal(history["one"], [1, NAN])
    assert history.stop_reason.startswith("diverged in epoch 2")
    assert log == [("spy", "begin", 0), ("spy", "epoch", 1), ("spy", "end", 2)]
    assert not model.training


def test_real_divergence_is_reported_once_without_other_warnings():
    X = np.linspace(-5, 5, 20)[:, None]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, history = run(
            Linear(1, 1, rng=0), X, 3 * X, loss=MSELoss(), lr=100.0, epochs=100, validation_data=(X, 3 * X)
        )
    assert [warning.category for warning in caught] == [DivergenceWarning]
    assert caught[0].filename.endswith("test_training.py")
    assert "diverged" in history.stop_reason
    assert not np.isfinite(history["val_loss"][-1])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_of_only_the_validation_loss_stops_training(bad):
    X = y = np.ones((8, 2))
    with pytest.warns(DivergenceWarning, match="diverged in epoch 2"):
        _, history = run(X=X, y=y, loss=Breaking([1.0, 1.0, 1.0, bad]), epochs=5, validation_data=(X, y))
    np.testing.assert_array_equal(history["loss"], [1, 1])
    np.testing.assert_array_equal(history["val_loss"], [1, bad])


@pytest.mark.parametrize(
    ("model", "X", "y", "lr"),
    [
        # The loss of the only batch is computed before the step that ruins the weights.
        (Linear(1, 1, rng=0), np.ones((4, 1), np.float32), np.full((4, 1), 1e10, np.float32), 1e30),
        # The features, output and loss are finite in float32; the features' variance is not.
        (BatchNorm1d(1), np.array([[3e20], [-3e20]], np.float32), np.zeros((2, 1), np.float32), 0.1),
    ],
    ids=["weights", "running statistics"],
)
def test_overflow_hidden_by_a_finite_loss_counts_as_divergence(model, X, y, lr):
    with pytest.warns(DivergenceWarning, match="its loss or its weights are no longer finite"):
        _, history = run(model, X, y, loss=MSELoss(), lr=lr, epochs=1)
    assert np.isfinite(history["loss"][0])
    assert history.stop_reason.startswith("diverged in epoch 1")


def test_early_stopping_restores_the_weights_from_before_a_divergence():
    model, keep, X = network(), Keep(), np.ones((4, 2))
    with pytest.warns(DivergenceWarning):
        run(model, X, X, loss=Breaking([2.0, 1.0, NAN]), epochs=5, callbacks=[keep, EarlyStopping("loss", patience=5)])
    np.testing.assert_equal(model.state_dict(), keep.values[1])


# Progress


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar_is_printed_on_request(progress, capsys):
    run(epochs=3, progress=progress)
    captured = capsys.readouterr()
    assert captured.out == ""
    for part in ("training", "3/3", "loss="):
        assert (part in captured.err) is progress
    assert progress or captured.err == ""


def test_progress_bar_is_closed_even_after_an_exception(monkeypatch):
    closed = []

    class Bar:
        def __init__(self, **options):
            pass

        def update(self):
            raise KeyboardInterrupt

        def close(self):
            closed.append(True)

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    with pytest.raises(KeyboardInterrupt):
        run(progress=True)
    assert closed == [True]


# Bad arguments

BAD_X, BAD_Y = np.ones((10, 2)), np.zeros(10)
BAD_X[3, 1] = BAD_Y[2] = np.nan


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"X": BAD_X}, ValueError, r"X must be finite .*\(3, 1\)"),
        ({"y": BAD_Y}, ValueError, r"y must be finite .*\(2,\)"),
        ({"X": np.full((10, 2), 1e300)}, ValueError, "X must be finite as float32"),
        ({"validation_data": (BAD_X, np.zeros(10, int))}, ValueError, r"validation_data\[0\]"),
        ({"validation_data": np.ones((3, 2))}, ValueError, "validation_data"),
        ({"validation_data": 1}, TypeError, "validation_data"),
        ({"X": np.ones((3, 2))}, ValueError, "X and y"),
        ({"X": np.ones((0, 2)), "y": np.zeros(0, int)}, ValueError, "X and y"),
        ({"X": 1.0, "y": 1}, ValueError, "X and y"),
        ({"X": [["a", "b"]], "y": [0]}, TypeError, "X"),
        ({"X": [[1.0, 2.0], [3.0]]}, ValueError, "X"),
        ({"y": [[1.0, 0.0], [1.0]]}, ValueError, "y"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"batch_size": 8.0}, TypeError, "batch_size"),
        ({"max_grad_norm": 0}, ValueError, "max_grad_norm"),
        ({"callbacks": EarlyStopping()}, TypeError, "callbacks"),
        ({"callbacks": EarlyStopping}, TypeError, "callbacks"),
        ({"callbacks": None}, TypeError, "callbacks"),
        ({"callbacks": [Callback(), EarlyStopping]}, TypeError, r"callbacks\[1\].*EarlyStopping\(\.*\) with paren"),
        ({"callbacks": [print]}, TypeError, r"callbacks\[0\]"),
        ({"metrics": right}, TypeError, "metrics"),
        ({"metrics": "accuracy"}, TypeError, "metrics"),
        ({"metrics": {"a": "x"}}, TypeError, r"metrics\['a'\]"),
        ({"metrics": [right, "x"]}, TypeError, r"metrics\[1\]"),
        ({"metrics": {1: right}}, TypeError, "name in metrics"),
        ({"loss": CrossEntropyLoss}, TypeError, r"loss.*CrossEntropyLoss\(\.*\) with parentheses"),
        ({"loss": "mse"}, TypeError, "loss"),
        ({"optimizer": SGD}, TypeError, r"optimizer.*SGD\(\.*\) with parentheses"),
        ({"optimizer": "sgd"}, TypeError, "optimizer"),
        ({"optimizer": SGD(network().parameters(), 0.1)}, ValueError, "optimizer must be made over the parameters"),
        ({"scheduler": "cos"}, TypeError, "scheduler"),
        ({"scheduler": StepLR}, TypeError, r"scheduler.*StepLR\(\.*\) with parentheses"),
        ({"scheduler": StepLR(SGD(network().parameters(), 0.1), 1)}, ValueError, "scheduler must be made over"),
        ({"model": "net"}, TypeError, "model"),
        ({"model": Linear}, TypeError, r"model.*Linear\(\.*\) with parentheses"),
        ({"rng": "a"}, TypeError, "rng"),
        ({"rng": -1}, ValueError, "rng"),
    ],
)
def test_invalid_argument_is_named_before_training(options, error, message):
    model = network(np.float32)
    before, (X, y) = weights(model), make_blobs(10, rng=0)
    parts = {"model": model, "loss": CrossEntropyLoss(), "optimizer": SGD(model.parameters(), 0.1), "epochs": 1}
    with pytest.raises(error, match=message):
        fit(**parts | {"X": X, "y": y} | options)
    np.testing.assert_array_equal(weights(model), before)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda X: predict("net", X), TypeError, "model"),
        (lambda X: predict(Linear(2, 2, rng=0), X[:0]), ValueError, "X"),
        (lambda X: predict(Linear(2, 2, rng=0), X * np.nan), ValueError, "X must be finite"),
        (lambda X: predict(Linear(2, 2, rng=0), X, batch_size=0), ValueError, "batch_size"),
        (lambda X: evaluate(network(), MSELoss, X, X), TypeError, r"loss.*MSELoss\(\.*\) with parentheses"),
        (lambda X: evaluate(network(), MSELoss(), X, X, metrics=right), TypeError, "metrics"),
    ],
)
def test_predict_and_evaluate_name_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 2)))


# predict


def test_predict_runs_in_batches_and_keeps_the_order(rng):
    sizes = []

    class Watched(Linear):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    X = rng.normal(size=(10, 3))
    model = Watched(3, 2, rng=0, dtype=np.float64)
    np.testing.assert_allclose(predict(model, X, batch_size=4), X @ model.weight.data)
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize("measure", [predict, lambda model, X: evaluate(model, MSELoss(), X, X)])
@pytest.mark.parametrize("fails", [False, True])
def test_predict_and_evaluate_restore_each_layer_mode(measure, fails):
    model = Sequential(Linear(2, 2, rng=0), Sequential(BatchNorm1d(2), Dropout(0.5, rng=0)), Dropout(0.5, rng=0))
    model[1][0].eval()
    model[2].eval()
    before = model.state_dict()
    if fails:
        with pytest.raises(ValueError, match=r"x must have shape \(n, 2\)"):
            measure(model, np.ones((3, 4)))
    else:
        measure(model, np.ones((3, 2)))
    assert [module.training for _, module in model.named_modules()] == [True, True, True, False, True, False]
    np.testing.assert_equal(model.state_dict(), before)


def test_predict_restores_a_training_layer_in_an_evaluating_model():
    model = Sequential(Dropout(0.5, rng=0), Tanh()).eval()
    model[0].train()
    X = np.ones((50, 2))
    np.testing.assert_array_equal(predict(model, X), np.tanh(X))
    assert [module.training for _, module in model.named_modules()] == [False, True, False]


def test_predict_leaves_no_data_in_the_model(rng):
    X, model = rng.normal(size=(1000, 2)), network()
    before = len(pickle.dumps(model))
    pred = predict(model, X)
    assert len(pickle.dumps(model)) < before + 100 < X.nbytes
    with pytest.raises(RuntimeError, match="Sequential"):
        model.backward(pred)


# History


def test_history_maps_names_to_arrays():
    history = History()
    assert history.n_epochs == len(history) == 0
    history.append({"loss": 2, "accuracy": np.float32(0.5)})
    history.append({"loss": 1, "accuracy": 0.75})
    assert isinstance(history, Mapping)
    assert history.n_epochs == 2
    assert len(history) == 2
    assert list(history) == list(history.keys()) == ["loss", "accuracy"]
    assert history.values_by_name == {"loss": [2, 1], "accuracy": [0.5, 0.75]}
    assert isinstance(history["loss"], np.ndarray)
    np.testing.assert_equal(dict(history), {"loss": np.array([2, 1]), "accuracy": np.array([0.5, 0.75])})
    assert "accuracy" in history
    assert "val_loss" not in history
    assert history.get("val_loss") is None
    with pytest.raises(KeyError, match=r"'val_loss'.*\['loss', 'accuracy'\]"):
        history["val_loss"]


def test_histories_are_equal_if_values_and_stop_reason_are():
    first, second = History({"loss": [1.0]}, "done"), History({"loss": [1.0]}, "done")
    assert first == second == pickle.loads(pickle.dumps(first))
    assert first != History({"loss": [2.0]}, "done")
    assert first != History({"loss": [1.0]}, "stopped")
    assert first != {"loss": [1.0]}


def test_history_repr_shows_the_last_epoch():
    assert repr(History()) == "History(0 epochs; last: none; running)"
    _, history = run(epochs=2)
    assert repr(history).startswith("History(2 epochs; last: loss=")
    assert repr(history).endswith("; all 2 epochs done)")
