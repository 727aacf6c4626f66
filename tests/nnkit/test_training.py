"""fit, predict, evaluate, History and EarlyStopping: what is counted, what is restored, and when training stops."""

import functools
import math
import pickle
import warnings

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
    check_gradients,
    clip_grad_norm,
    evaluate,
    fit,
    make_blobs,
    predict,
)


def network(dtype=np.float64):
    return Sequential(Linear(2, 6, rng=1, dtype=dtype), Tanh(), Linear(6, 2, rng=2, dtype=dtype))


def run(model=None, X=None, y=None, *, n=30, loss=None, lr=0.1, seed=0, **options):
    """Train on blobs with small defaults; return the model and the history."""
    model = network() if model is None else model
    if X is None:
        X, y = make_blobs(n, rng=0)
    options = {"epochs": 2, "batch_size": 8, **options}
    return model, fit(model, loss or CrossEntropyLoss(), SGD(model.parameters(), lr), X, y, rng=seed, **options)


def weights(model):
    return np.concatenate([parameter.data.ravel() for parameter in model.parameters()])


def regularized_network(seed=0):
    return Sequential(
        Linear(2, 6, rng=1, dtype=np.float64),
        BatchNorm1d(6, dtype=np.float64),
        Tanh(),
        Dropout(0.3, rng=seed),
        Linear(6, 2, rng=2, dtype=np.float64),
    )


class Spy(Callback):
    """Writes down what happens to it."""

    def __init__(self, log, name="spy", stop_after=None):
        self.log, self.name, self.stop_after = log, name, stop_after

    def on_train_begin(self, state):
        self.log.append((self.name, "begin", state.epoch))

    def on_epoch_end(self, state):
        self.log.append((self.name, "epoch", state.epoch))
        return state.epoch == self.stop_after

    def on_train_end(self, state):
        self.log.append((self.name, "end", state.epoch))


class Scripted(Callback):
    """Puts prepared numbers into the history, as if they had been measured; it goes before what reads them."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, state):
        state.history.values.setdefault(self.name, []).append(self.values[state.epoch - 1])


# What an epoch is


class Rates(Callback):
    """Note the learning rate that every epoch was trained with."""

    def __init__(self):
        self.values = []

    def on_train_begin(self, state):
        self.next = state.optimizer.lr

    def on_epoch_end(self, state):
        self.values.append(self.next)
        self.next = state.optimizer.lr


@pytest.mark.parametrize(("n", "batch_size"), [(30, 8), (32, 8), (5, 100), (7, 1), (9, 9)])
def test_epochs_are_what_a_loop_by_hand_does(n, batch_size):
    X, y = make_blobs(n, rng=0)
    model, history = run(X=X, y=y, epochs=3, batch_size=batch_size, metrics=[accuracy], seed=5)

    by_hand, loss, rng = network(), CrossEntropyLoss(), np.random.default_rng(5)
    optimizer = SGD(by_hand.parameters(), 0.1)
    for epoch in range(3):
        order, total, right = rng.permutation(n), 0.0, 0
        for start in range(0, n, batch_size):
            batch = order[start : start + batch_size]
            optimizer.zero_grad()
            pred = by_hand(X[batch])
            total += loss(pred, y[batch]) * len(batch)
            right += (pred.argmax(axis=1) == y[batch]).sum()
            by_hand.backward(loss.backward())
            optimizer.step()
        assert history["loss"][epoch] == pytest.approx(total / n, rel=1e-14)
        assert history["accuracy"][epoch] == pytest.approx(right / n)
    np.testing.assert_array_equal(weights(model), weights(by_hand))


def test_every_sample_is_seen_once_an_epoch_in_a_new_order():
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


def test_images_and_rows_of_targets_are_batched_along_the_first_axis(rng):
    X, y = rng.normal(size=(10, 2, 3)), rng.normal(size=(10, 4))
    model, history = run(Sequential(Flatten(), Linear(6, 4, rng=0)), X, y, loss=MSELoss(), batch_size=4)
    assert len(history) == 2
    assert predict(model, X).shape == (10, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_inputs_that_are_the_targets_as_well_train_like_a_copy_of_them(dtype, rng):
    X = (9 * rng.uniform(size=(20, 2))).astype(dtype)
    (first, one), (second, two) = (run(X=X, y=y, loss=MSELoss(), validation_data=(X, y)) for y in (X, X.copy()))
    np.testing.assert_array_equal(weights(first), weights(second))
    for name in ("loss", "val_loss"):
        np.testing.assert_array_equal(one[name], two[name])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_that_are_the_targets_as_well_are_converted_and_gathered_once(dtype, rng):
    shared = []

    class Watched(MSELoss):
        def value(self, pred, target):
            shared.append(np.shares_memory(pred, target))
            return super().value(pred, target)

    class Identity(Linear):  # returns the very batch that it was given
        def forward(self, x):
            super().forward(x)
            return x

    X = rng.normal(size=(20, 2)).astype(dtype)
    run(Identity(2, 2, rng=0), X, X, loss=Watched(), lr=0.0, validation_data=(X, X))
    run(Identity(2, 2, rng=0), X, X.copy(), loss=Watched(), lr=0.0, epochs=1)
    # Two epochs of three batches, each with the validation in one piece that predict has put together; and one.
    assert shared == [True, True, True, False] * 2 + [False] * 3


def test_integer_inputs_may_be_their_own_classes():
    X = np.array([0, 1, 1, 0])
    _, history = run(Sequential(Flatten(), Linear(1, 2, rng=0)), X, X)
    assert np.isfinite(history["loss"]).all()


def test_data_may_be_lists_and_integers():
    _, history = run(Linear(2, 2, rng=0), [[0, 1], [1, 0], [1, 1]], [0, 1, 1])
    assert np.isfinite(history["loss"]).all()


def test_data_is_not_changed():
    X, y = make_blobs(20, rng=0)
    kept = X.copy(), y.copy()
    run(X=X, y=y, validation_data=(X, y))
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_training_learns_what_can_be_learned():
    X, y = make_blobs(200, spread=0.3, rng=0)
    model, _ = run(X=X, y=y, epochs=10)
    assert accuracy(y, predict(model, X)) > 0.99


def test_weights_stay_in_their_dtype_whatever_the_data_has():
    X, y = make_blobs(20, rng=0)
    model, _ = run(network(np.float32), X.astype(np.float64), y)
    assert {parameter.data.dtype for parameter in model.parameters()} == {np.dtype(np.float32)}


# Reproducibility


def test_same_seed_gives_the_same_bits():
    (first, one), (second, two) = run(seed=3), run(seed=3)
    np.testing.assert_array_equal(weights(first), weights(second))
    np.testing.assert_array_equal(one["loss"], two["loss"])


def test_another_seed_gives_another_order():
    assert not np.array_equal(weights(run(seed=3)[0]), weights(run(seed=4)[0]))


def test_generator_may_be_passed_in_place_of_a_seed():
    first, second = run(seed=3)[0], run(seed=np.random.default_rng(3))[0]
    np.testing.assert_array_equal(weights(first), weights(second))


def test_validation_does_not_change_the_training():
    X, y = make_blobs(20, rng=1)
    np.testing.assert_array_equal(weights(run()[0]), weights(run(validation_data=(X, y))[0]))


def test_global_random_state_is_not_touched():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    run(seed=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Validation and metrics


def test_validation_of_each_epoch_is_what_evaluate_returns():
    X, y = make_blobs(25, rng=1)
    measured = []

    class Measure(Callback):
        def on_epoch_end(self, state):
            measured.append(evaluate(state.model, CrossEntropyLoss(), X, y, metrics=[accuracy]))

    _, history = run(epochs=3, validation_data=(X, y), metrics=[accuracy], callbacks=[Measure()])
    assert [scores["loss"] for scores in measured] == list(history["val_loss"])
    assert [scores["accuracy"] for scores in measured] == list(history["val_accuracy"])


def test_evaluate_is_the_loss_of_all_samples_at_once(rng):
    X, y = make_blobs(25, rng=1)
    model = network()
    scores = evaluate(model, CrossEntropyLoss(), X, y, metrics={"right": accuracy})
    assert scores == {"loss": CrossEntropyLoss()(model(X), y), "right": accuracy(y, model(X))}


def test_metrics_may_have_names_of_their_own():
    _, history = run(metrics={"right": accuracy, "wrong": lambda y, pred: 1 - accuracy(y, pred)})
    np.testing.assert_allclose(history["right"] + history["wrong"], 1)


def test_history_has_one_number_an_epoch_under_each_name():
    X, y = make_blobs(10, rng=1)
    _, history = run(epochs=3, validation_data=(X, y), metrics=[accuracy])
    assert set(history.values) == {"loss", "accuracy", "seconds", "val_loss", "val_accuracy"}
    assert {len(history[name]) for name in history.values} == {3}
    assert (history["seconds"] > 0).all()


@pytest.mark.parametrize("name", ["loss", "seconds", "val_loss"])
def test_metric_names_of_the_history_itself_are_refused(name):
    with pytest.raises(ValueError, match=f"metrics must not use the name '{name}'"):
        run(metrics={name: accuracy})


def test_metrics_without_names_of_their_own_need_a_dict():
    half = functools.partial(accuracy, threshold=0.5)
    with pytest.raises(ValueError, match="metrics must be a dict where functions lack names of their own"):
        run(metrics=[half])
    with pytest.raises(ValueError, match="metrics must be a dict where functions lack names of their own"):
        run(metrics=[lambda y, pred: 0.0, lambda y, pred: 1.0])


# Modes and what is restored


def test_model_trains_in_training_mode_and_is_left_in_evaluation_mode():
    modes = []

    class Watched(Tanh):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    X, y = make_blobs(8, rng=0)
    model = Sequential(Linear(2, 2, rng=0), Watched()).eval()
    run(model, X, y, epochs=2, batch_size=8, validation_data=(X, y))
    assert modes == [True, False, True, False]
    assert not model.training
    assert not model[1].training


def test_input_gradient_is_wanted_again_after_fit():
    model, _ = run()
    assert model.needs_input_grad
    assert model[0].needs_input_grad
    X, _ = make_blobs(4, rng=0)
    assert check_gradients(model, X)


def test_input_gradient_stays_unwanted_where_it_was():
    model = network()
    model.needs_input_grad = False
    run(model)
    assert not model.needs_input_grad


def test_everything_is_restored_after_an_exception():
    class Failing(Callback):
        def on_epoch_end(self, state):
            raise KeyboardInterrupt

    model = network()
    with pytest.raises(KeyboardInterrupt):
        run(model, callbacks=[Failing()])
    assert model.needs_input_grad
    assert not model.training


def test_first_layer_computes_no_input_gradient_while_training():
    returned = []

    class Watched(Linear):
        def backward(self, grad):
            returned.append(super().backward(grad))
            return returned[-1]

    run(Sequential(Flatten(), Watched(2, 2, rng=0)), batch_size=30)
    assert returned == [None, None]


def test_module_of_ones_own_can_be_trained(rng):
    class Scale(Module):
        def __init__(self):
            self.factor = Parameter(np.array(1.0))

        def forward(self, x):
            self._save(x)
            return self.factor.data * x

        def backward(self, grad):
            (x,) = self._take()
            self.factor.grad += (grad * x).sum()
            return grad * self.factor.data

    X = rng.normal(size=(50, 1))
    model, _ = run(Sequential(Scale()), X, 3 * X, loss=MSELoss(), epochs=20)
    assert model[0].factor.data == pytest.approx(3, rel=1e-3)


# Dropout and batch normalization


def test_dropout_and_batch_norm_train_as_in_a_loop_by_hand():
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
        # Validation draws nothing and moves no running statistics, or the next epoch would differ.
        assert history["val_loss"][epoch] == loss(by_hand.eval()(X), y)
    for name, array in by_hand.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


def test_same_seeds_give_the_same_bits_with_dropout():
    np.testing.assert_array_equal(weights(run(regularized_network(3))[0]), weights(run(regularized_network(3))[0]))
    assert not np.array_equal(weights(run(regularized_network(3))[0]), weights(run(regularized_network(4))[0]))


def test_batch_of_one_left_over_says_what_to_do_under_batch_norm():
    model = regularized_network()
    before = model.state_dict()
    for n, batch_size in [(17, 8), (8, 1), (1, 8)]:
        with pytest.raises(ValueError, match=r"batch_size must leave no batch with fewer than 2 .* 1, BatchNorm"):
            run(model, n=n, batch_size=batch_size)
    for name, array in model.state_dict().items():  # Checked before the first batch, not met in the last.
        np.testing.assert_array_equal(array, before[name])
    assert not model.training
    run(regularized_network(), n=18, batch_size=8)
    run(network(), n=17, batch_size=8)


def test_batch_norm_first_trains_without_an_input_gradient():
    returned = []

    class Watched(BatchNorm1d):
        def backward(self, grad):
            returned.append(super().backward(grad))
            return returned[-1]

    model = Sequential(Dropout(0.2, rng=0), Watched(2), Linear(2, 2, rng=0))
    before = model.state_dict()
    run(model, n=8)
    assert returned == [None, None]
    assert all(not np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[1].needs_input_grad


def test_layer_whose_train_says_so_stays_frozen_in_fit():
    class Frozen(BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    model = Sequential(Frozen(2), Linear(2, 2, rng=0))
    run(model, n=9, batch_size=4)  # Frozen, it takes a batch of one as well.
    np.testing.assert_array_equal(model[0].running_mean, 0)
    assert model[0].weight.grad.any()


def test_early_stopping_restores_the_running_statistics_of_the_best_epoch():
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, state):
            kept.append(state.model.state_dict())

    model = regularized_network()
    run(model, epochs=4, callbacks=[Keep(), Scripted([5, 4, 6, 7]), EarlyStopping(patience=2)])
    assert not np.array_equal(kept[1]["1.running_var"], kept[3]["1.running_var"])
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, kept[1][name])


def test_running_statistics_that_overflow_are_not_called_success():
    # The features themselves are finite in float32, and so are output and loss; their variance is not.
    X = np.array([[3e20], [-3e20]], dtype=np.float32)
    with pytest.warns(DivergenceWarning, match="its loss or its weights are no longer finite"):
        run(BatchNorm1d(1), X, X * 0, loss=MSELoss(), epochs=1)


# What the loss does not show


def deep(*, scale=1.0, activation=ReLU):
    model = Sequential(Linear(2, 8, rng=1), activation(), Linear(8, 8, rng=2), activation(), Linear(8, 2, rng=3))
    model[0].weight.data *= np.float32(scale)
    return model


def scaled_blobs(scale):
    X, y = make_blobs(64, rng=0)
    return X * np.float32(scale), y


@pytest.mark.parametrize("optimizer", [Adam, AdamW, RMSprop])
def test_a_weight_that_froze_stops_training_and_is_named(optimizer):
    X, y = scaled_blobs(1e25)
    model = deep()
    with pytest.warns(DivergenceWarning, match=r"diverged in epoch 1: .* the square_average of 0.weight"):
        history = fit(model, CrossEntropyLoss(), optimizer(model.parameters()), X, y, epochs=30, rng=0)
    assert np.isfinite(history["loss"]).all()
    assert history.stop_reason.startswith("diverged in epoch 1")


@pytest.mark.parametrize(
    ("model", "lr"),
    [
        (deep(), 1.0),  # On inputs far from 0 to 1 the first steps throw all ReLUs to where they are zero.
        (deep(scale=1e4, activation=Tanh), 0.1),  # Saturated: 1 - tanh(x)^2 is zero in float32.
    ],
)
def test_weights_without_a_gradient_are_reported_once_with_the_remedy(model, lr):
    X, y = scaled_blobs(255)
    with pytest.warns(DivergenceWarning) as caught:
        _, history = run(model, X, y, lr=lr, epochs=10)
    assert len(caught) == 1
    assert caught[0].filename.endswith("test_training.py")
    message = str(caught[0].message)
    assert "no gradient reached 0.weight" in message
    assert f"scale the inputs to about 0 to 1 (they reach {np.abs(X).max():g})" in message
    assert f"a smaller learning rate than {lr:g}" in message
    assert history.stop_reason.startswith("all 10 epochs done, but no gradient reached 0.weight")


def test_pixels_from_0_to_255_are_reported(mnist):
    X, y = mnist.X_train[:6400] * 255, mnist.y_train[:6400]
    rng = np.random.default_rng(0)
    model = Sequential(Linear(784, 64, rng=rng), ReLU(), Linear(64, 32, rng=rng), ReLU(), Linear(32, 10, rng=rng))
    with pytest.warns(DivergenceWarning, match=r"no gradient reached 0.weight, 2.weight .*\(they reach 255\)"):
        fit(model, CrossEntropyLoss(), SGD(model.parameters(), 0.1), X, y, epochs=2, rng=rng)


@pytest.mark.parametrize(
    ("scale", "make"),
    [
        (1, lambda params: SGD(params, 1e-12)),
        (1, lambda params: Adam(params, 1e-12)),
        (1e-25, lambda params: Adam(params)),  # The squares underflow, and eps is all that is left to divide by.
    ],
)
def test_steps_that_rounding_swallows_are_reported(scale, make):
    X, y = scaled_blobs(scale)
    model = deep()
    with pytest.warns(DivergenceWarning, match="0.weight.* had not moved by the end of epoch 2: .* rounding"):
        history = fit(model, CrossEntropyLoss(), make(model.parameters()), X, y, epochs=4, batch_size=8, rng=0)
    assert "but 0.weight" in history.stop_reason


def test_a_short_training_is_judged_by_all_its_steps():
    X, y = scaled_blobs(255)
    with pytest.warns(DivergenceWarning, match="no gradient reached 0.weight"):
        run(deep(scale=1e4, activation=Tanh), X, y, epochs=1)


def test_nothing_is_reported_of_trainings_that_only_look_stuck():
    X, y = scaled_blobs(1)
    with warnings.catch_warnings(action="error"):
        model = deep()
        model[4].weight.data[...] = 0  # Hides the layers before it from the first step.
        run(model, X, y, batch_size=64, epochs=12)
        run(deep(), X, y, batch_size=64, epochs=1)  # One step says nothing.
        # A linear model at its minimum: the gradient is exactly zero, the loss is not.
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        line = Linear(2, 1, rng=0, init="zeros")
        line.bias.data[...] = 0.5
        run(line, corners, np.array([[0], [1], [1], [0]], np.float32), loss=MSELoss(), epochs=20)
        # All ReLUs may be zero for a single sample, as in a last batch of one.
        run(Sequential(Linear(2, 2, rng=0), ReLU(), Linear(2, 2, rng=1)), X[:33], y[:33], batch_size=1, epochs=12)
        run(deep(), X, y, lr=0, epochs=12)  # Asked for.


# Callbacks and schedules


def test_callbacks_run_in_their_order():
    log = []
    run(epochs=2, callbacks=[Spy(log, "a"), Spy(log, "b")])
    assert log == [
        ("a", "begin", 0), ("b", "begin", 0),
        ("a", "epoch", 1), ("b", "epoch", 1),
        ("a", "epoch", 2), ("b", "epoch", 2),
        ("a", "end", 2), ("b", "end", 2),
    ]  # fmt: skip


def test_every_callback_sees_the_epoch_in_which_one_asks_to_stop():
    log = []
    _, history = run(epochs=5, callbacks=[Spy(log, "a", stop_after=2), Spy(log, "b")])
    assert ("b", "epoch", 2) in log
    assert log[-1] == ("b", "end", 2)
    assert len(history) == 2
    assert history.stop_reason == "a callback stopped it after epoch 2"


def test_callback_sees_the_epoch_in_the_history_and_the_model_in_evaluation_mode():
    class Look(Callback):
        def on_epoch_end(self, state):
            assert len(state.history) == state.epoch
            assert not state.model.training
            assert "val_loss" in state.history

    X, y = make_blobs(10, rng=1)
    run(epochs=3, validation_data=(X, y), callbacks=[Look()])


def test_callbacks_may_come_from_a_generator():
    log = []
    run(epochs=1, callbacks=(Spy(log, name) for name in "ab"))
    assert len(log) == 6


def test_plain_callback_does_nothing():
    np.testing.assert_array_equal(weights(run(callbacks=[Callback()])[0]), weights(run()[0]))


def test_scheduler_steps_at_the_end_of_each_epoch():
    class Halving:
        def __init__(self, optimizer):
            self.optimizer = optimizer

        def step(self):
            self.optimizer.lr /= 2

    rates = Rates()
    model = network()
    optimizer = SGD(model.parameters(), 0.8)
    X, y = make_blobs(20, rng=0)
    fit(model, CrossEntropyLoss(), optimizer, X, y, epochs=3, callbacks=[rates], scheduler=Halving(optimizer), rng=0)
    assert rates.values == [0.8, 0.4, 0.2]
    assert optimizer.lr == rates.next == 0.1


def test_scheduler_steps_also_after_the_epoch_in_which_a_callback_stops():
    model = network()
    optimizer = SGD(model.parameters(), 0.8)
    schedule = StepLR(optimizer, 1, 0.5)
    X, y = make_blobs(20, rng=0)
    callbacks = [Spy([], stop_after=2)]
    fit(model, CrossEntropyLoss(), optimizer, X, y, epochs=3, callbacks=callbacks, scheduler=schedule, rng=0)
    assert schedule.epoch == 2
    assert optimizer.lr == 0.2


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda optimizer: StepLR(optimizer, 2, 0.5), [0.8, 0.8, 0.4, 0.4]),
        (lambda optimizer: CosineLR(optimizer, 4), [0.8, 0.4 * (1 + 0.5**0.5), 0.4, 0.4 * (1 - 0.5**0.5)]),
    ],
    ids=["StepLR", "CosineLR"],
)
def test_fit_follows_the_schedules_over_two_calls(make, expected):
    rates = Rates()
    model = network()
    optimizer = SGD(model.parameters(), 0.8)
    schedule = make(optimizer)
    X, y = make_blobs(20, rng=0)
    for _ in range(2):
        fit(model, CrossEntropyLoss(), optimizer, X, y, epochs=2, callbacks=[rates], scheduler=schedule, rng=0)
    np.testing.assert_allclose(rates.values, expected)


def test_schedule_of_another_optimizer_is_an_error_and_not_a_silent_standstill():
    model = network()
    schedule = StepLR(SGD(model.parameters(), 0.1), 1)
    with pytest.raises(ValueError, match="scheduler must be made over the optimizer given here"):
        run(model, scheduler=schedule)


# Clipping


def test_fit_clips_the_gradient_before_each_step():
    X, y = make_blobs(20, rng=0)
    model, _ = run(X=X, y=y, epochs=2, seed=5, max_grad_norm=0.05)

    by_hand, loss, rng, norms = network(), CrossEntropyLoss(), np.random.default_rng(5), []
    optimizer = SGD(by_hand.parameters(), 0.1)
    for _ in range(2):
        order = rng.permutation(20)
        for start in range(0, 20, 8):
            batch = order[start : start + 8]
            optimizer.zero_grad()
            loss(by_hand(X[batch]), y[batch])
            by_hand.backward(loss.backward())
            norms.append(clip_grad_norm(by_hand.parameters(), 0.05))
            optimizer.step()
    assert min(norms) > 0.05
    np.testing.assert_array_equal(weights(model), weights(by_hand))
    assert not np.array_equal(weights(model), weights(run(X=X, y=y, epochs=2, seed=5)[0]))


def test_no_step_is_longer_than_rate_times_norm():
    model, norms = network(), []
    before = weights(model)

    class Measure(Callback):
        def on_epoch_end(self, state):
            nonlocal before
            norms.append(np.linalg.norm(weights(state.model) - before))
            before = weights(state.model)

    run(model, epochs=3, batch_size=30, lr=1000.0, max_grad_norm=1e-3, callbacks=[Measure()])
    assert max(norms) <= 1
    assert max(norms) == pytest.approx(1, rel=1e-2)


def test_norm_that_is_never_reached_changes_nothing():
    np.testing.assert_array_equal(weights(run(max_grad_norm=1e9)[0]), weights(run()[0]))


def test_clipping_does_not_hide_a_divergence():
    class Broken(Loss):
        def value(self, pred, target):
            return 1.0, (pred,)

        def gradient(self, pred):
            return np.full_like(pred, np.inf)

    with pytest.warns(DivergenceWarning, match="its loss or its weights are no longer finite"):
        _, history = run(Linear(2, 1, rng=0), loss=Broken(), max_grad_norm=1.0)
    assert len(history) == 1


def test_norm_to_clip_at_must_be_above_zero():
    model = network()
    before = weights(model)
    with pytest.raises(ValueError, match="max_grad_norm must be a finite number above 0; got 0"):
        run(model, max_grad_norm=0)
    np.testing.assert_array_equal(weights(model), before)


# EarlyStopping


def stopped(values, *, epochs=None, name="val_loss", **options):
    """Train under an EarlyStopping that reads prepared values."""
    stopping = EarlyStopping(**{"monitor": name, **options})
    _, history = run(epochs=epochs or len(values), callbacks=[Scripted(values, name), stopping])
    return stopping, history


def test_early_stopping_waits_as_long_as_its_patience():
    stopping, history = stopped([5, 4, 4.5, 4.2, 4.1, 1], patience=3)
    assert len(history) == 5
    assert (stopping.best_epoch, stopping.best_value) == (2, 4)
    assert history.stop_reason == "stopped early after epoch 5: val_loss was best in epoch 2"


def test_early_stopping_counts_anew_after_each_best_value():
    _, history = stopped([5, 6, 4, 5, 3, 4, 4], patience=2)
    assert len(history) == 7
    _, history = stopped([5, 6, 6, 1], patience=2)
    assert len(history) == 3


def test_early_stopping_lets_good_training_finish():
    stopping, history = stopped([3, 2, 1], patience=1)
    assert history.stop_reason == "all 3 epochs done"
    assert stopping.best_epoch == 3


def test_early_stopping_takes_an_equal_value_for_no_gain():
    stopping, history = stopped([5, 5, 5, 5], patience=2)
    assert len(history) == 3
    assert stopping.best_epoch == 1


def test_early_stopping_takes_small_gains_for_none():
    stopping, history = stopped([5.0, 4.95, 4.92, 4.0], patience=2, min_delta=0.1)
    assert len(history) == 3
    assert stopping.best_epoch == 1


def test_early_stopping_may_want_a_maximum():
    stopping, history = stopped([0.5, 0.7, 0.6, 0.65], patience=2, mode="max", name="val_accuracy")
    assert len(history) == 4
    assert (stopping.best_epoch, stopping.best_value) == (2, 0.7)


def test_early_stopping_stops_where_the_number_is_always_nan():
    stopping, history = stopped([math.nan] * 5, patience=2)
    assert len(history) == 2
    assert stopping.best_epoch == 0
    assert math.isnan(stopping.best_value)
    assert history.stop_reason == "stopped early after epoch 2: val_loss was never a finite number"


def weights_after_each_epoch(epochs):
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, state):
            kept.append(weights(state.model))

    run(epochs=epochs, callbacks=[Keep()])
    return kept


@pytest.mark.parametrize(
    ("values", "why"),
    [([5, 4, 6, 7, 8], "stopped early"), ([5, 4, 6], "all 3 epochs done")],
    ids=["stopped", "ran out"],
)
def test_early_stopping_restores_the_best_weights(values, why):
    model = network()
    _, history = run(model, epochs=len(values), callbacks=[Scripted(values), EarlyStopping(patience=3)])
    assert history.stop_reason.startswith(why)
    np.testing.assert_array_equal(weights(model), weights_after_each_epoch(3)[1])


class Raising(Callback):
    """Raises what it is told to: at the end of an epoch, or when training ends."""

    def __init__(self, error, epoch=None):
        self.error, self.epoch = error, epoch

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            raise self.error

    def on_train_end(self, state):
        if self.epoch is None:
            raise self.error


def test_early_stopping_restores_the_best_weights_where_somebody_interrupts():
    model = network()
    callbacks = [Scripted([5, 4, 6]), EarlyStopping(patience=3), Raising(KeyboardInterrupt(), 3)]
    with pytest.raises(KeyboardInterrupt):
        run(model, epochs=9, callbacks=callbacks)
    np.testing.assert_array_equal(weights(model), weights_after_each_epoch(3)[1])
    assert not model.training
    assert model.needs_input_grad


def test_early_stopping_restores_the_best_weights_where_a_batch_is_interrupted():
    class Interrupted(CrossEntropyLoss):
        n_calls = 0

        def value(self, pred, target):
            self.n_calls += 1
            if self.n_calls == 10:  # Four batches an epoch: in the middle of the third.
                raise KeyboardInterrupt
            return super().value(pred, target)

    model = network()
    with pytest.raises(KeyboardInterrupt):
        run(model, epochs=9, loss=Interrupted(), callbacks=[Scripted([5, 4, 6]), EarlyStopping(patience=3)])
    np.testing.assert_array_equal(weights(model), weights_after_each_epoch(2)[1])


def test_every_callback_that_began_ends_and_the_first_error_is_the_one_that_is_raised():
    log, first = [], ValueError("first")
    callbacks = [Raising(OSError("second")), Raising(first, 2), Spy(log)]
    with pytest.raises(ValueError, match="first") as caught:
        run(epochs=5, callbacks=callbacks)
    assert caught.value is first
    assert caught.value.__notes__ == ["After that, on_train_end of Raising failed: OSError('second')"]
    assert log == [("spy", "begin", 0), ("spy", "epoch", 1), ("spy", "end", 2)]

    class NeverBegins(Spy):
        def on_train_begin(self, state):
            raise first

    log.clear()
    with pytest.raises(ValueError, match="first"):
        run(callbacks=[Spy(log, "a"), NeverBegins(log, "b"), Spy(log, "c")])
    assert log == [("a", "begin", 0), ("a", "end", 0)]


def test_error_at_the_end_of_a_whole_training_lets_the_other_callbacks_end():
    log = []
    with pytest.raises(OSError, match="only"):
        run(callbacks=[Raising(OSError("only")), Spy(log)])
    assert log[-1] == ("spy", "end", 2)


def test_callback_is_told_why_training_ended_with_an_error():
    reasons = []

    class Look(Callback):
        def on_train_end(self, state):
            reasons.append(state.history.stop_reason)
            assert not state.model.training

    with pytest.raises(KeyboardInterrupt):
        run(callbacks=[Look(), Raising(KeyboardInterrupt(), 2)])
    assert reasons == ["KeyboardInterrupt in epoch 2"]


def test_early_stopping_has_no_best_value_until_an_epoch_has_ended():
    seen = []

    class Look(Callback):
        def on_train_begin(self, state):
            seen.append((stopping.best_epoch, math.isnan(stopping.best_value)))

    stopping = EarlyStopping(patience=2)
    for _ in range(2):
        run(callbacks=[Scripted([2, 1]), stopping, Look()])
    assert seen == [(0, True)] * 2


def test_early_stopping_can_leave_the_last_weights():
    model = network()
    run(model, epochs=3, callbacks=[Scripted([5, 4, 6]), EarlyStopping(patience=3, restore_best=False)])
    np.testing.assert_array_equal(weights(model), weights_after_each_epoch(3)[2])


def test_early_stopping_can_be_used_again():
    stopping = EarlyStopping(patience=2)
    assert (stopping.best_epoch, math.isnan(stopping.best_value)) == (0, True)
    run(epochs=2, callbacks=[Scripted([1, 2]), stopping])
    assert stopping.best_value == 1
    _, history = run(epochs=4, callbacks=[Scripted([9, 8, 7, 6]), stopping])
    assert len(history) == 4
    assert stopping.best_value == 6


def test_early_stopping_on_a_number_that_is_not_there_says_what_is():
    with pytest.raises(
        ValueError, match=r"monitor must be one of \['loss', 'seconds'\]; got 'val_loss'; give fit validation_data"
    ):
        run(callbacks=[EarlyStopping()])
    with pytest.raises(ValueError, match=r"monitor must be one of \['loss', 'seconds'\]; got 'accuracy'$"):
        run(callbacks=[EarlyStopping("accuracy")])


def test_early_stopping_checks_its_arguments():
    with pytest.raises(ValueError, match="mode must be 'min' or 'max'; got 'up'"):
        EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="patience must be at least 1; got 0"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="min_delta must be a finite number at least 0; got -1"):
        EarlyStopping(min_delta=-1)
    with pytest.raises(TypeError, match="monitor must be a name in the history such as 'val_loss'; got 3"):
        EarlyStopping(3)


# Divergence


class Breaking(Loss):
    """A loss that returns what it is told to, call by call."""

    def __init__(self, values):
        self.values = iter(values)

    def value(self, pred, target):
        return next(self.values), (pred,)

    def gradient(self, pred):
        return np.zeros_like(pred)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_stops_training_with_a_warning(bad):
    log = []
    with pytest.warns(DivergenceWarning, match=r"training diverged in epoch 2: .* a smaller learning rate than 0\.1"):
        model, history = run(
            n=8, loss=Breaking([1.0, 1.0, 1.0, bad]), epochs=5, batch_size=4, metrics=[accuracy], callbacks=[Spy(log)]
        )
    assert len(history) == 2
    assert history["loss"][0] == 1
    # Half an epoch has no mean, so neither number of the broken one may look as if it had.
    assert np.isnan(history["loss"][1])
    assert np.isnan(history["accuracy"][1])
    assert history.stop_reason.startswith("diverged in epoch 2")
    assert log == [("spy", "begin", 0), ("spy", "epoch", 1), ("spy", "end", 2)]
    assert not model.training
    assert model.needs_input_grad


def test_real_divergence_is_reported_once_and_without_other_warnings():
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
def test_divergence_of_the_validation_alone_stops_training(bad):
    X, y = make_blobs(8, rng=0)
    with pytest.warns(DivergenceWarning, match="diverged in epoch 2"):
        _, history = run(X=X, y=y, loss=Breaking([1.0, 1.0, 1.0, bad]), epochs=5, validation_data=(X, y))
    assert len(history) == 2
    assert history["loss"][1] == 1
    assert not np.isfinite(history["val_loss"][1])


def test_overflow_in_the_last_step_is_not_called_success():
    # The loss of the only batch is measured before the step that ruins the weights.
    X = np.ones((4, 1), dtype=np.float32)
    with pytest.warns(DivergenceWarning, match="its loss or its weights are no longer finite"):
        _, history = run(Linear(1, 1, rng=0), X, 1e10 * X, loss=MSELoss(), lr=1e30, epochs=1)
    assert np.isfinite(history["loss"][0])
    assert history.stop_reason.startswith("diverged in epoch 1")


def test_early_stopping_goes_back_to_before_the_divergence():
    model = network()
    with pytest.warns(DivergenceWarning):
        run(model, n=4, loss=Breaking([2.0, 1.0, math.nan]), epochs=5, callbacks=[EarlyStopping("loss", patience=5)])
    assert np.isfinite(weights(model)).all()


# Progress


def test_progress_bar_prints_and_reaches_its_end(capsys):
    run(epochs=3, progress=True)
    shown = capsys.readouterr().err
    assert "training" in shown
    assert "3/3" in shown
    assert "loss=" in shown


def test_without_progress_nothing_is_printed(capsys):
    run(epochs=3)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_progress_bar_is_closed_also_after_an_exception(monkeypatch):
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


# Bad data


def test_nan_in_x_is_named_before_anything_is_trained():
    X, y = make_blobs(10, rng=0)
    X[3, 1] = np.nan
    model = network()
    before = weights(model)
    with pytest.raises(ValueError, match=r"X must be finite .* got 1 NaN or infinite of 20 .* at index \(3, 1\)"):
        run(model, X, y)
    np.testing.assert_array_equal(weights(model), before)


def test_nan_in_y_is_named():
    X = np.ones((4, 2))
    y = np.array([[0.0, 1], [1, 0], [np.inf, 0], [0, 1]])
    with pytest.raises(ValueError, match=r"y must be finite .* at index \(2, 0\)"):
        run(X=X, y=y, loss=MSELoss())


def test_value_too_large_for_the_models_dtype_is_named():
    with pytest.raises(ValueError, match="X must be finite as float32; got 1 NaN or infinite"):
        run(network(np.float32), np.array([[1e300, 1.0]]), np.array([0]))


def test_nan_in_the_validation_data_is_named():
    X, y = make_blobs(10, rng=0)
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"validation_data\[0\] must be finite"):
        run(X=X, y=y, validation_data=(bad, y))


@pytest.mark.parametrize(
    ("X", "y"), [(np.ones((3, 2)), np.zeros(2, dtype=int)), (np.ones((0, 2)), np.zeros(0, dtype=int)), (1.0, 1)]
)
def test_unequal_and_empty_data_is_refused(X, y):
    with pytest.raises(ValueError, match="X and y must hold the same number of samples, at least one; got shapes"):
        run(X=X, y=y)


def test_data_that_is_not_numbers_is_refused():
    with pytest.raises(TypeError, match="X must hold real numbers; got dtype"):
        run(X=[["a", "b"]], y=[0])


def test_ragged_data_is_named():
    with pytest.raises(ValueError, match="X must be an array, or lists of which all have one length; got"):
        run(X=[[1.0, 2.0], [3.0]], y=[0, 1])
    with pytest.raises(ValueError, match="y must be an array, or lists of which all have one length; got"):
        run(X=np.ones((2, 2)), y=[[1.0, 0.0], [1.0]])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"validation_data": np.ones((3, 2))}, ValueError, r"validation_data must be a pair \(X, y\); got an array"),
        ({"validation_data": 1}, TypeError, r"validation_data must be a pair \(X, y\); got 1"),
        ({"callbacks": EarlyStopping()}, TypeError, "callbacks must be a list of callbacks; got <.*EarlyStop"),
        ({"callbacks": EarlyStopping}, TypeError, "callbacks must be a list of callbacks; got <class"),
        ({"callbacks": None}, TypeError, "callbacks must be a list of callbacks; got None"),
        (
            {"callbacks": [Callback(), EarlyStopping]},
            TypeError,
            r"callbacks\[1\] must be a Callback.*; write EarlyStopping\(\.\.\.\) with parentheses",
        ),
        (
            {"callbacks": [print]},
            TypeError,
            r"callbacks\[0\] must be .* on_train_begin and on_epoch_end and on_train_end; got <built-in",
        ),
        ({"metrics": accuracy}, TypeError, "metrics must be a dict or a list of functions; got <func"),
        ({"metrics": "accuracy"}, TypeError, "metrics must be a dict or a list of functions; got 'accuracy'"),
        ({"metrics": {"a": "x"}}, TypeError, r"metrics\['a'\] must be a function; got 'x'"),
        ({"metrics": [accuracy, "x"]}, TypeError, r"metrics\[1\] must be a function; got 'x'"),
        ({"metrics": {1: accuracy}}, TypeError, "each name in metrics must be a string; got 1"),
        ({"loss": CrossEntropyLoss}, TypeError, r"loss must be .*; write CrossEntropyLoss\(\.\.\.\) with paren"),
        ({"loss": "mse"}, TypeError, r"loss must be a Loss such as MSELoss\(\), .*; got 'mse'"),
        ({"optimizer": SGD}, TypeError, r"optimizer must be an Optimizer .*; write SGD\(\.\.\.\) with paren"),
        ({"optimizer": "sgd"}, TypeError, "optimizer must be an Optimizer such as SGD; got 'sgd'"),
        ({"scheduler": "cos"}, TypeError, "scheduler must be a schedule .* which has step; got 'cos'"),
        ({"scheduler": StepLR}, TypeError, r"scheduler must be a schedule .*; write StepLR\(\.\.\.\) with"),
        ({"model": "net"}, TypeError, "model must be a Module such as Sequential; got 'net'"),
        ({"model": Linear}, TypeError, r"model must be a Module .*; write Linear\(\.\.\.\) with parentheses"),
        ({"rng": "a"}, TypeError, "rng must be a .* whole number that is at least 0; got 'a'"),
        ({"rng": -1}, ValueError, "rng must be a .* whole number that is at least 0; got -1"),
    ],
)
def test_what_fit_cannot_use_is_named_before_anything_is_trained(options, error, message):
    model = network()
    before, (X, y) = weights(model), make_blobs(10, rng=0)
    parts = {"model": model, "loss": CrossEntropyLoss(), "optimizer": SGD(model.parameters(), 0.1)}
    with pytest.raises(error, match=message):
        fit(X=X, y=y, epochs=1, **parts | options)
    np.testing.assert_array_equal(weights(model), before)
    assert model.needs_input_grad


def test_parts_need_no_base_class_where_their_methods_do():
    class Plain:
        on_train_begin = on_epoch_end = on_train_end = lambda self, state: None

    class Half:
        def __call__(self, pred, target):
            self.difference = pred - target
            return float((self.difference**2).sum() / 2)

        def backward(self):
            return self.difference

    _, history = run(Linear(2, 1, rng=0), np.ones((4, 2)), np.ones((4, 1)), loss=Half(), callbacks=[Plain()])
    assert len(history) == 2


def test_predict_and_evaluate_name_what_they_cannot_use():
    with pytest.raises(TypeError, match="model must be a Module such as Sequential; got 'net'"):
        predict("net", np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"loss must be a Loss .*; write MSELoss\(\.\.\.\) with parentheses"):
        evaluate(network(), MSELoss, np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(TypeError, match="metrics must be a dict or a list of functions"):
        evaluate(network(), MSELoss(), np.ones((2, 2)), np.ones((2, 2)), metrics=accuracy)


@pytest.mark.parametrize("grad", [None, [[1.0, 1.0]]])
def test_gradient_that_is_no_array_is_named(grad):
    model = network()
    model(np.ones((1, 2)))
    with pytest.raises(TypeError, match=r"grad must be an array of the shape of the output.*; got (None|\[\[1)"):
        model.backward(grad)


def test_epochs_and_batch_size_must_be_positive_whole_numbers():
    with pytest.raises(ValueError, match="epochs must be at least 1; got 0"):
        run(epochs=0)
    with pytest.raises(TypeError, match=r"batch_size must be a whole number; got 8\.0"):
        run(batch_size=8.0)


# predict


def test_predict_goes_in_batches_and_returns_all_in_order(rng):
    sizes = []

    class Watched(Linear):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    X = rng.normal(size=(10, 3))
    model = Watched(3, 2, rng=0, dtype=np.float64)
    np.testing.assert_allclose(predict(model, X, batch_size=4), X @ model.weight.data)
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize("training", [True, False])
def test_predict_runs_in_evaluation_mode_and_puts_the_mode_back(training):
    modes = []

    class Watched(ReLU):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    model = Sequential(Watched()).train(training)
    predict(model, np.ones((2, 2)))
    assert modes == [False]
    assert model.training is model[0].training is training


@pytest.mark.parametrize("measure", [predict, lambda model, X: evaluate(model, MSELoss(), X, X)])
def test_frozen_layer_stays_frozen_in_a_training_model(measure):
    model = Sequential(Linear(2, 2, rng=0), Sequential(BatchNorm1d(2), Dropout(0.5, rng=0)), Dropout(0.5, rng=0))
    model[1][0].eval()
    model[2].eval()
    before = model.state_dict()
    measure(model, np.ones((3, 2)))
    assert [module.training for _, module in model.named_modules()] == [True, True, True, False, True, False]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_training_layer_goes_on_training_in_a_model_of_evaluation_mode():
    model = Sequential(Dropout(0.5, rng=0), Tanh()).eval()
    model[0].train()
    X = np.ones((50, 2))
    np.testing.assert_array_equal(predict(model, X), np.tanh(X))
    assert [module.training for _, module in model.named_modules()] == [False, True, False]


def test_predict_puts_every_mode_back_after_an_error():
    model = Sequential(BatchNorm1d(2).eval(), Linear(3, 2, rng=0))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\)"):
        predict(model, np.ones((2, 2)))
    assert [module.training for _, module in model.named_modules()] == [True, False, True]


def test_predict_puts_the_mode_back_after_an_error():
    model = Linear(3, 2, rng=0)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\)"):
        predict(model, np.ones((2, 4)))
    assert model.training


def test_predict_leaves_none_of_the_data_in_the_model(rng):
    X, model = rng.normal(size=(1000, 2)), network()
    before = len(pickle.dumps(model))
    pred = predict(model, X)
    assert len(pickle.dumps(model)) < before + 100 < X.nbytes
    with pytest.raises(RuntimeError, match="backward has nothing to work on"):
        model.backward(pred)


def test_predict_checks_its_arguments():
    model = Linear(3, 2, rng=0)
    with pytest.raises(ValueError, match=r"X must hold at least one sample; got shape \(0, 3\)"):
        predict(model, np.ones((0, 3)))
    with pytest.raises(ValueError, match="X must be finite"):
        predict(model, np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        predict(model, np.ones((1, 3)), batch_size=0)


# History


def test_history_gives_arrays_by_name():
    history = History()
    history.append({"loss": 2, "accuracy": np.float32(0.5)})
    history.append({"loss": 1, "accuracy": 0.75})
    np.testing.assert_array_equal(history["loss"], [2, 1])
    assert isinstance(history["loss"], np.ndarray)
    assert len(history) == 2
    assert "accuracy" in history
    assert "val_loss" not in history


def test_history_names_what_it_has_where_something_is_missing():
    history = History()
    history.append({"loss": 2})
    with pytest.raises(KeyError, match=r"history has no 'val_loss'; it has \['loss'\]"):
        history["val_loss"]


def test_history_shows_its_last_epoch():
    assert repr(History()) == "History(0 epochs; last: none; running)"
    _, history = run(epochs=2)
    assert repr(history).startswith("History(2 epochs; last: loss=")
    assert repr(history).endswith("; all 2 epochs done)")


def test_fit_goes_on_from_where_the_optimizer_is():
    X, y = make_blobs(20, rng=0)

    def trained(parts):
        model, rng = network(), np.random.default_rng(0)
        optimizer = Adam(model.parameters())
        for epochs in parts:
            fit(model, CrossEntropyLoss(), optimizer, X, y, epochs=epochs, batch_size=8, rng=rng)
        return weights(model)

    np.testing.assert_array_equal(trained([4]), trained([1, 3]))


def test_an_optimizer_of_another_model_is_an_error_and_not_a_silent_standstill():
    model, other = Linear(2, 1, rng=0), Linear(2, 1, rng=1)
    optimizer = SGD(other.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="optimizer must be made over the parameters of model"):
        fit(model, MSELoss(), optimizer, np.ones((4, 2)), np.ones((4, 1)), epochs=1)
