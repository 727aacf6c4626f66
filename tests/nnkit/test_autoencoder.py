"""Autoencoder: its structure, what encode and decode return, and that both use the trained weights."""

import copy
import functools
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from nnkit import (
    SGD,
    Adam,
    Autoencoder,
    BatchNorm1d,
    BCEWithLogitsLoss,
    Callback,
    Dropout,
    Flatten,
    GaussianNoise,
    LeakyReLU,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    TiedLinear,
    check_gradients,
    evaluate,
    fit,
    predict,
    sigmoid,
    xavier_normal,
)


def in_a_plane(n=60, width=6, seed=0):
    """Return samples in [0, 1] that lie in a plane, so that two numbers describe each."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, 2)) @ rng.uniform(size=(2, width))
    return (X / X.max()).astype(np.float32)


def train(model, X, *, loss=None, optimizer=None, epochs=10, **options):
    optimizer = optimizer or Adam(model.parameters(), lr=0.01)
    return fit(model, loss or MSELoss(), optimizer, X, X, epochs=epochs, batch_size=16, rng=0, **options)


def given(**options):
    """Return an autoencoder made from an encoder and a decoder with all kinds of layers."""
    encoder = Sequential(
        Flatten(), Linear(6, 5, rng=0), BatchNorm1d(5), ReLU(), Dropout(0.1, rng=1), Linear(5, 2, rng=2)
    )
    return Autoencoder(encoder, Sequential(Linear(2, 5, rng=3), Tanh(), Linear(5, 6, rng=4)), **options)


WAYS = {
    "given": given,
    "given, logits": functools.partial(given, logits=True),
    "one layer each": lambda: Autoencoder(Linear(6, 2, rng=0), Linear(2, 6, rng=1)),
    "symmetric": lambda: Autoencoder.symmetric([6, 5, 2], rng=0),
    "symmetric, logits": lambda: Autoencoder.symmetric([6, 5, 4, 2], "tanh", rng=0, logits=True),
    "shallow": lambda: Autoencoder.symmetric([6, 2], rng=0),
    "tied": lambda: Autoencoder.symmetric([6, 5, 2], rng=0, tied=True),
    "copied": lambda: copy.deepcopy(Autoencoder.symmetric([6, 5, 2], rng=0)),
}
every_way = pytest.mark.parametrize("way", WAYS)


def loss_of(model):
    return BCEWithLogitsLoss() if model.logits else MSELoss()


# encode and decode use the trained weights


def check_encode_and_decode_use_the_trained_weights(model):
    """Train, then recompute everything by hand from the parameters that the optimizer updated."""
    X = in_a_plane()
    before = model.encode(X), model.decode(np.ones((3, 2))), model.reconstruct(X)
    optimizer = Adam(model.parameters(), lr=0.01)
    train(model, X, loss=loss_of(model), optimizer=optimizer)
    after = model.encode(X), model.decode(np.ones((3, 2))), model.reconstruct(X)
    for old, new in zip(before, after, strict=True):
        assert np.abs(new - old).max() > 1e-2
    # The network that the loss saw is the encoder followed by the decoder.
    output = predict(model, X)
    np.testing.assert_array_equal(output, predict(model.decoder, predict(model.encoder, X)))
    np.testing.assert_array_equal(model.reconstruct(X), sigmoid(output) if model.logits else output)
    np.testing.assert_array_equal(model.decode(model.encode(X)), model.reconstruct(X))
    # Neither half has untrained parameters, and both see an optimizer step.
    trained = {id(parameter) for parameter in optimizer.params}
    for half in (model.encoder, model.decoder):
        assert {id(parameter) for parameter in half.parameters()} <= trained
    for parameter in optimizer.params:
        parameter.data.fill(0)
    assert not model.encode(X).any()
    assert not predict(model.decoder, np.ones((3, 2))).any()


@every_way
def test_encode_and_decode_use_the_trained_weights(way):
    check_encode_and_decode_use_the_trained_weights(WAYS[way]())


class SeparateEncoder(Autoencoder):
    """The bug in one source's library: the encoder shares no weights with the network that is trained."""

    def __init__(self, encoder, decoder, *, logits=False):
        super().__init__(encoder, decoder, logits=logits)
        self._kept = SimpleNamespace(encoder=copy.deepcopy(encoder))  # hidden from the search for parameters

    def encode(self, X):
        return predict(self._kept.encoder, X)


class SeparateDecoder(Autoencoder):
    def __init__(self, encoder, decoder, *, logits=False):
        super().__init__(encoder, decoder, logits=logits)
        self._kept = SimpleNamespace(decoder=copy.deepcopy(decoder))

    def decode(self, codes):
        return predict(self._kept.decoder, codes)


@pytest.mark.parametrize("kind", [SeparateEncoder, SeparateDecoder])
def test_untrained_half_is_caught(kind):
    with pytest.raises(AssertionError):
        check_encode_and_decode_use_the_trained_weights(kind.symmetric([6, 5, 2], rng=0))
    # Nothing else gives it away: it trains as well as the correct version.
    wrong, right = kind.symmetric([6, 5, 2], rng=0), Autoencoder.symmetric([6, 5, 2], rng=0)
    np.testing.assert_array_equal(train(wrong, in_a_plane())["loss"], train(right, in_a_plane())["loss"])


def test_given_networks_are_not_copied():
    encoder, decoder = Linear(6, 2, rng=0), Linear(2, 6, rng=1)
    model, X = Autoencoder(encoder, decoder), in_a_plane()
    train(Sequential(encoder, decoder), X)  # Training it outside trains it inside as well.
    assert model.encoder is encoder
    assert model.decoder is decoder
    np.testing.assert_array_equal(model.encode(X), X @ encoder.weight.data + encoder.bias.data)


def test_encoding_after_each_epoch_reflects_training_without_disturbing_it():
    X, codes = in_a_plane(), []

    class Look(Callback):
        def on_epoch_end(self, state):
            codes.append(state.model.encode(X))

    model, other = Autoencoder.symmetric([6, 5, 2], rng=0), Autoencoder.symmetric([6, 5, 2], rng=0)
    train(model, X, epochs=3, callbacks=[Look()])
    train(other, X, epochs=3)
    assert np.abs(codes[1] - codes[0]).max() > 1e-4
    np.testing.assert_array_equal(codes[-1], model.encode(X))
    np.testing.assert_array_equal(other.encode(X), model.encode(X))


# Structure of a symmetric autoencoder


@pytest.mark.parametrize("sizes", [[784, 256, 128, 64, 32], (6, 5, 2), np.array([6, 2]), range(6, 1, -2)])
def test_decoder_reverses_the_encoder_widths(sizes):
    model = Autoencoder.symmetric(sizes, rng=0)
    for half, widths in ((model.encoder, list(sizes)), (model.decoder, list(sizes)[::-1])):
        shapes = [layer.weight.data.shape for layer in half if isinstance(layer, Linear)]
        assert shapes == list(itertools.pairwise(widths))
        assert [type(layer) for layer in half] == [Linear, *[ReLU, Linear] * (len(widths) - 2)]


@pytest.mark.parametrize(
    ("activation", "kind"),
    [("leaky_relu", LeakyReLU), ("sigmoid", Sigmoid), ("tanh", Tanh), (lambda: LeakyReLU(0.3), LeakyReLU)],
)
def test_activations_appear_only_between_layers(activation, kind):
    model = Autoencoder.symmetric([6, 5, 4, 2], activation, rng=0)
    for half in (model.encoder, model.decoder):
        assert [type(module) for module in half] == [Linear, kind, Linear, kind, Linear]
    activations = [module for half in (model.encoder, model.decoder) for module in half if type(module) is kind]
    assert len({id(module) for module in activations}) == 4


def test_weights_are_drawn_from_the_generator_layer_by_layer():
    shared, rng = np.random.default_rng(7), np.random.default_rng(7)
    model = Autoencoder.symmetric([6, 5, 2], init="xavier_normal", rng=shared)
    for layer, shape in zip([*model.encoder[::2], *model.decoder[::2]], [(6, 5), (5, 2), (2, 5), (5, 6)], strict=True):
        np.testing.assert_array_equal(layer.weight.data, xavier_normal(shape, rng).astype(np.float32))
        assert not layer.bias.data.any()
    assert shared.random() == rng.random()  # Nothing else was drawn.
    unseeded = [Autoencoder.symmetric([6, 2]).encoder[0].weight.data for _ in range(2)]
    assert not np.array_equal(*unseeded)


def test_tied_decoder_transposes_the_encoder():
    model, untied = (Autoencoder.symmetric([6, 5, 2], rng=0, tied=tied) for tied in (True, False))
    X = in_a_plane()
    np.testing.assert_array_equal(model.encode(X), untied.encode(X))
    assert len(untied.parameters()) - len(model.parameters()) == 2
    assert list(model.state_dict()) == [
        "encoder.0.weight", "encoder.0.bias", "encoder.2.weight", "encoder.2.bias", "decoder.0.bias", "decoder.2.bias",
    ]  # fmt: skip
    assert [type(module) for module in model.decoder] == [TiedLinear, ReLU, TiedLinear]
    train(model, X)
    (W1, b1, W2, b2, c2, c1) = model.state_dict().values()
    codes = np.maximum(X @ W1 + b1, 0) @ W2 + b2
    np.testing.assert_allclose(model.encode(X), codes, rtol=1e-5, atol=1e-6)
    expected = np.maximum(codes @ W2.T + c2, 0) @ W1.T + c1
    np.testing.assert_allclose(model.reconstruct(X), expected, rtol=1e-5, atol=1e-6)


# Gradients


@every_way
@pytest.mark.parametrize("with_loss", [False, True])
def test_gradients_match_central_differences(way, with_loss, rng):
    model, x = WAYS[way](), rng.uniform(size=(7, 6))
    loss = loss_of(model) if with_loss else None
    report = check_gradients(
        Sequential(GaussianNoise(0.1, rng=0), model), x, loss=loss, target=x if with_loss else None, rng=rng
    )
    assert report, report


@every_way
def test_accumulate_matches_backward(way, rng):
    model = WAYS[way]().astype(np.float64).eval()
    x, grad = rng.normal(size=(8, 6)), rng.normal(size=(8, 6))
    model(x)
    assert model.backward(grad).shape == x.shape
    expected = [parameter.grad.copy() for parameter in model.parameters()]
    for network in (model, Sequential(GaussianNoise(0.0), model).eval()):
        model.zero_grad()
        network(x)
        assert network.accumulate(grad) is None
        for parameter, value in zip(model.parameters(), expected, strict=True):
            np.testing.assert_array_equal(parameter.grad, value)


def test_encoder_may_have_no_parameters():
    model = Autoencoder(Flatten(), Linear(6, 6, rng=0))
    X = in_a_plane()
    history = train(model, X)
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_array_equal(model.encode(X), X)


# encode, decode, reconstruct


def test_logits_are_returned_as_probabilities_but_reach_the_loss_unchanged():
    X = in_a_plane()
    model = Autoencoder.symmetric([6, 5, 2], rng=0, logits=True)
    plain = Autoencoder(model.encoder, model.decoder)
    train(model, X, loss=BCEWithLogitsLoss(), epochs=60)
    np.testing.assert_array_equal(model.encode(X), plain.encode(X))
    np.testing.assert_array_equal(model(X), plain(X))
    np.testing.assert_array_equal(model.reconstruct(X), sigmoid(plain.reconstruct(X)))
    assert plain.reconstruct(X).min() < 0
    # The loss of the logits is the cross-entropy of those probabilities.
    p, loss = model.reconstruct(X).astype(np.float64), evaluate(model, BCEWithLogitsLoss(), X, X)["loss"]
    assert loss == pytest.approx(-(X * np.log(p) + (1 - X) * np.log1p(-p)).mean(), rel=1e-5)
    # They are close to the data; logits are not.
    assert np.square(model.reconstruct(X) - X).mean() < 0.01 < np.square(plain.reconstruct(X) - X).mean()


def test_encode_and_decode_run_in_evaluation_mode_and_restore_each_mode():
    model = given()
    model.encoder[2].eval()  # Frozen while the rest trains.
    X = in_a_plane()
    before = model.state_dict()
    modes = [module.training for _, module in model.named_modules()]
    first = model.encode(X), model.reconstruct(X)
    np.testing.assert_array_equal(model.encode(X), first[0])  # With dropout active, two calls would differ.
    np.testing.assert_array_equal(model.decode(first[0]), first[1])
    assert [module.training for _, module in model.named_modules()] == modes
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_codes_are_computed_without_noise():
    X = in_a_plane()
    model = Autoencoder.symmetric([6, 5, 2], rng=0)
    train(Sequential(GaussianNoise(0.3, rng=1), model), X)
    inside = Autoencoder(Sequential(GaussianNoise(0.3, rng=1), *model.encoder), model.decoder).train()
    np.testing.assert_array_equal(inside.encode(X), model.encode(X))


def test_encode_and_decode_accept_any_number_of_samples():
    model = Autoencoder.symmetric([3, 2], rng=0)
    assert model.encode([[1, 2, 3]]).shape == (1, 2)
    assert model.decode([[0, 0]]).shape == (1, 3)
    X = np.random.default_rng(0).uniform(size=(5000, 3))  # More than one predict batch.
    assert model.reconstruct(X).shape == (5000, 3)
    assert model.reconstruct(X).dtype == np.float32
    np.testing.assert_allclose(model.encode(X)[-5:], model.encode(X[-5:]), rtol=1e-5)


@every_way
def test_state_round_trips_in_both_dtypes(way):
    X = in_a_plane()
    model, other = WAYS[way](), WAYS[way]()
    train(model, X, loss=loss_of(model), epochs=2)
    assert all(name.startswith(("encoder.", "decoder.")) for name in model.state_dict())
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.reconstruct(X), model.reconstruct(X))
    np.testing.assert_allclose(model.astype(np.float64).reconstruct(X), other.reconstruct(X), rtol=1e-4, atol=1e-6)
    assert model.encode(X).dtype == np.float64


def test_either_half_can_be_trained_alone():
    X = in_a_plane()
    model = Autoencoder.symmetric([6, 5, 2], rng=0)
    codes = model.encode(X)
    fit(model.decoder, MSELoss(), SGD(model.decoder.parameters(), lr=0.1), codes, X, epochs=5, rng=0)
    np.testing.assert_array_equal(model.encode(X), codes)


# What it learns


@pytest.mark.parametrize("tied", [False, True])
def test_code_as_wide_as_the_data_dimension_reconstructs_the_data(tied):
    X = in_a_plane(200)
    model = Autoencoder.symmetric([6, 2], init="xavier_normal", rng=0, tied=tied)
    train(model, X, epochs=150)
    assert np.square(model.reconstruct(X) - X).mean() < 1e-4 < X.var() / 100


def test_linear_autoencoder_approaches_but_never_beats_pca():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    X = ((rng.normal(size=(300, 6)) * [3, 2, 1, 0.5, 0.3, 0.1]) @ rotation).astype(np.float32)
    best = np.square(np.linalg.svd((X - X.mean(axis=0)).astype(np.float64))[1][2:]).sum() / X.size
    model = Autoencoder.symmetric([6, 2], init="xavier_normal", rng=1)
    train(model, X, epochs=200)
    assert best * (1 - 1e-4) <= np.square(model.reconstruct(X) - X).mean() <= 1.02 * best


def test_denoising_moves_noisy_samples_closer_to_the_clean_ones():
    X = in_a_plane(400)
    model = Autoencoder.symmetric([6, 16, 2], rng=0)
    train(Sequential(GaussianNoise(0.1, rng=1), model), X, epochs=40)
    noisy = GaussianNoise(0.1, rng=2)(X)
    assert np.square(model.reconstruct(noisy) - X).mean() < 0.6 * np.square(noisy - X).mean()


# Errors


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Autoencoder(Linear(2, 1, rng=0), None), TypeError, "decoder must"),
        (lambda: Autoencoder(Linear, Linear(2, 1, rng=0)), TypeError, "encoder must.*parentheses"),
        (lambda: Autoencoder.symmetric([784]), ValueError, "sizes must"),
        (lambda: Autoencoder.symmetric([]), ValueError, "sizes must"),
        (lambda: Autoencoder.symmetric([784, 0]), ValueError, r"sizes\[1\] must"),
        (lambda: Autoencoder.symmetric([784.0, 32]), TypeError, r"sizes\[0\] must"),
        (lambda: Autoencoder.symmetric([784, 32], "swish"), ValueError, "activation must .*swish"),
        (lambda: Autoencoder.symmetric([784, 32], init="glorot"), ValueError, "init must .*glorot"),
    ],
)
def test_invalid_argument_is_named(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda model: model.encode(np.zeros((3, 5))), r"\(n, 6\).*\(3, 5\)"),
        (lambda model: model.decode(np.zeros((3, 6))), r"\(n, 2\).*\(3, 6\)"),
        (lambda model: model.encode(np.full((3, 6), np.nan)), "X must be finite"),
        (lambda model: Autoencoder(model.encoder, model.encoder)(np.zeros((3, 6))), r"\(n, 6\).*\(3, 2\)"),
    ],
)
def test_invalid_data_is_named(use, match):
    with pytest.raises(ValueError, match=match):
        use(Autoencoder.symmetric([6, 2], rng=0))


def test_each_backward_needs_its_own_forward():
    model = Autoencoder.symmetric([6, 2], rng=0)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="forward"):
            model.backward(np.zeros((3, 6)))
        model(np.zeros((3, 6)))
        model.backward(np.zeros((3, 6), dtype=np.float32))
