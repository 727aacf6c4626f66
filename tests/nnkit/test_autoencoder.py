"""Autoencoder: what it is made of, what encode and decode return, and that they use the weights that were trained."""

import copy
import functools
import itertools

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
    Module,
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
    """Return samples that two numbers each describe, in [0, 1]."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, 2)) @ rng.uniform(size=(2, width))
    return (X / X.max()).astype(np.float32)


def train(model, X, *, loss=None, optimizer=None, epochs=10, seed=0, **options):
    optimizer = optimizer or Adam(model.parameters(), lr=0.01)
    return fit(model, loss or MSELoss(), optimizer, X, X, epochs=epochs, batch_size=16, rng=seed, **options)


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


# What was trained is what encodes


def check_that_encode_and_decode_use_what_was_trained(model):
    """Train, and take the network apart by hand: through the parameters that the optimizer stepped."""
    X = in_a_plane()
    before = model.encode(X), model.decode(np.ones((3, 2))), model.reconstruct(X)
    optimizer = Adam(model.parameters(), lr=0.01)
    train(model, X, loss=loss_of(model), optimizer=optimizer)
    after = model.encode(X), model.decode(np.ones((3, 2))), model.reconstruct(X)
    for old, new in zip(before, after, strict=True):
        assert np.abs(new - old).max() > 1e-2
    # The whole network, which the loss saw, is the encoder and then the decoder.
    output = predict(model, X)
    np.testing.assert_array_equal(model.reconstruct(X), sigmoid(output) if model.logits else output)
    np.testing.assert_array_equal(model.decode(model.encode(X)), model.reconstruct(X))
    # Each half has no parameter that was not trained, and an optimizer's step is seen by both.
    trained = {id(parameter) for parameter in optimizer.params}
    for half in (model.encoder, model.decoder):
        assert {id(parameter) for parameter in half.parameters()} <= trained
    for parameter in optimizer.params:
        parameter.data.fill(0)
    assert not model.encode(X).any()
    assert not predict(model.decoder, np.ones((3, 2))).any()


@every_way
def test_encode_and_decode_use_what_was_trained(way):
    check_that_encode_and_decode_use_what_was_trained(WAYS[way]())


class EncoderOfItsOwn(Autoencoder):
    """The bug of a source's library: what encodes shares no weights with what is trained."""

    def __init__(self, encoder, decoder, *, logits=False):
        super().__init__(encoder, decoder, logits=logits)
        self._kept = {"encoder": copy.deepcopy(encoder)}

    def encode(self, X):
        return predict(self._kept["encoder"], X)


class DecoderOfItsOwn(Autoencoder):
    def __init__(self, encoder, decoder, *, logits=False):
        super().__init__(encoder, decoder, logits=logits)
        self._kept = {"decoder": copy.deepcopy(decoder)}

    def decode(self, codes):
        return predict(self._kept["decoder"], codes)


@pytest.mark.parametrize("kind", [EncoderOfItsOwn, DecoderOfItsOwn])
def test_half_that_was_not_trained_is_caught(kind):
    with pytest.raises(AssertionError):
        check_that_encode_and_decode_use_what_was_trained(kind.symmetric([6, 5, 2], rng=0))
    # Nothing else gives it away: it trains as well as the right one.
    wrong, right = kind.symmetric([6, 5, 2], rng=0), Autoencoder.symmetric([6, 5, 2], rng=0)
    np.testing.assert_array_equal(train(wrong, in_a_plane())["loss"], train(right, in_a_plane())["loss"])


def test_networks_given_are_held_and_not_copied():
    encoder, decoder = Linear(6, 2, rng=0), Linear(2, 6, rng=1)
    model = Autoencoder(encoder, decoder)
    assert model.encoder is encoder
    assert model.decoder is decoder
    X = in_a_plane()
    train(Sequential(encoder, decoder), X)  # Trained outside, it is trained inside.
    np.testing.assert_array_equal(model.encode(X), predict(encoder, X))
    np.testing.assert_array_equal(model.encode(X), X @ encoder.weight.data + encoder.bias.data)


def test_encode_sees_each_epoch_of_the_training():
    X, codes = in_a_plane(), []

    class Look(Callback):
        def on_epoch_end(self, state):
            codes.append(state.model.encode(X))

    model = Autoencoder.symmetric([6, 5, 2], rng=0)
    train(model, X, epochs=4, callbacks=[Look()])
    assert all(np.abs(new - old).max() > 1e-4 for old, new in itertools.pairwise(codes))
    np.testing.assert_array_equal(codes[-1], model.encode(X))
    # And looking has not changed the training.
    other = Autoencoder.symmetric([6, 5, 2], rng=0)
    train(other, X, epochs=4)
    np.testing.assert_array_equal(other.encode(X), model.encode(X))


# The shape of a symmetric one


def test_symmetric_network_of_source_b_has_its_layers():
    model = Autoencoder.symmetric([784, 256, 128, 64, 32], init="xavier_normal", rng=0, logits=True)
    assert repr(model) == (
        "Autoencoder(encoder=Sequential("
        "Linear(784, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 64), ReLU(), Linear(64, 32)), "
        "decoder=Sequential("
        "Linear(32, 64), ReLU(), Linear(64, 128), ReLU(), Linear(128, 256), ReLU(), Linear(256, 784)), "
        "logits=True)"
    )
    assert sum(parameter.data.size for parameter in model.parameters()) == 489_136


def test_shallow_network_is_two_linear_layers():
    model = Autoencoder.symmetric([784, 4], rng=0)
    assert repr(model) == "Autoencoder(encoder=Sequential(Linear(784, 4)), decoder=Sequential(Linear(4, 784)))"


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("relu", ReLU),
        ("leaky_relu", LeakyReLU),
        ("sigmoid", Sigmoid),
        ("tanh", Tanh),
        (lambda: LeakyReLU(0.3), LeakyReLU),
    ],
)
def test_activation_stands_between_the_layers_and_nowhere_else(activation, kind):
    model = Autoencoder.symmetric([6, 5, 4, 2], activation, rng=0)
    for half in (model.encoder, model.decoder):
        assert [type(module) for module in half] == [Linear, kind, Linear, kind, Linear]
    activations = [module for half in (model.encoder, model.decoder) for module in half if type(module) is kind]
    assert len({id(module) for module in activations}) == 4


def test_weights_are_drawn_in_the_order_of_the_layers_from_the_generator():
    model = Autoencoder.symmetric([6, 5, 2], init="xavier_normal", rng=7)
    rng = np.random.default_rng(7)
    for layer, shape in zip([*model.encoder[::2], *model.decoder[::2]], [(6, 5), (5, 2), (2, 5), (5, 6)], strict=True):
        np.testing.assert_array_equal(layer.weight.data, xavier_normal(shape, rng).astype(np.float32))
        assert not layer.bias.data.any()
    shared = np.random.default_rng(7)
    Autoencoder.symmetric([6, 5, 2], init="xavier_normal", rng=shared)
    assert shared.random() == rng.random()  # Nothing else was drawn.


def test_same_seed_gives_the_same_weights_and_none_differs_from_run_to_run():
    first, second, other = (Autoencoder.symmetric([6, 2], rng=seed).state_dict() for seed in (3, 3, 4))
    np.testing.assert_array_equal(first["encoder.0.weight"], second["encoder.0.weight"])
    assert not np.array_equal(first["encoder.0.weight"], other["encoder.0.weight"])
    unseeded = [Autoencoder.symmetric([6, 2]).state_dict()["encoder.0.weight"] for _ in range(2)]
    assert not np.array_equal(*unseeded)


def test_sizes_may_be_any_sequence_of_whole_numbers():
    for sizes in ((6, 5, 2), np.array([6, 5, 2]), range(6, 1, -2)):
        assert Autoencoder.symmetric(sizes, rng=0).encode(np.ones((1, 6))).shape == (1, 2)


# Tied weights


def test_tied_decoder_is_the_encoder_transposed():
    model = Autoencoder.symmetric([6, 5, 2], rng=0, tied=True)
    assert list(model.state_dict()) == [
        "encoder.0.weight", "encoder.0.bias", "encoder.2.weight", "encoder.2.bias", "decoder.0.bias", "decoder.2.bias",
    ]  # fmt: skip
    assert [type(module) for module in model.decoder] == [TiedLinear, ReLU, TiedLinear]
    train(model, in_a_plane())
    assert model.decoder[0].weight is model.encoder[2].weight
    assert model.decoder[2].weight is model.encoder[0].weight
    X = in_a_plane()
    (W1, b1, W2, b2, c2, c1) = model.state_dict().values()
    codes = np.maximum(X @ W1 + b1, 0) @ W2 + b2
    np.testing.assert_allclose(model.encode(X), codes, rtol=1e-5, atol=1e-6)
    expected = np.maximum(codes @ W2.T + c2, 0) @ W1.T + c1
    np.testing.assert_allclose(model.reconstruct(X), expected, rtol=1e-5, atol=1e-6)


def test_tied_network_starts_with_the_encoder_of_the_untied_one():
    tied, untied = (Autoencoder.symmetric([6, 5, 2], rng=3, tied=tied) for tied in (True, False))
    np.testing.assert_array_equal(tied.encode(in_a_plane()), untied.encode(in_a_plane()))
    assert len(untied.parameters()) - len(tied.parameters()) == 2


# Values and gradients


@every_way
def test_forward_is_the_encoder_and_then_the_decoder(way, rng):
    model = WAYS[way]().eval()
    x = rng.uniform(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(model(x), model.decoder(model.encoder(x)))


@every_way
@pytest.mark.parametrize("loss", [None, MSELoss(), BCEWithLogitsLoss()], ids=str)
def test_gradients_match_central_differences(way, loss, rng):
    model = WAYS[way]()
    for module in (model, Sequential(GaussianNoise(0.1, rng=0), model)):
        x = rng.uniform(size=(7, 6))
        report = check_gradients(module, x, loss=loss, target=None if loss is None else x, rng=rng)
        assert report, report


@every_way
def test_input_gradient_is_left_out_where_nobody_needs_it_and_the_others_stay_the_same(way, rng):
    model = WAYS[way]().astype(np.float64)
    x, grad = rng.normal(size=(8, 6)), rng.normal(size=(8, 6))
    model.train(False)
    model(x)
    assert model.backward(grad).shape == x.shape
    expected = [parameter.grad.copy() for parameter in model.parameters()]
    for network in (model, Sequential(GaussianNoise(0.0), model).eval()):
        model.zero_grad()
        network.needs_input_grad = False
        assert not network.needs_input_grad
        assert not model.needs_input_grad
        network(x)
        assert network.backward(grad) is None
        for parameter, value in zip(model.parameters(), expected, strict=True):
            np.testing.assert_array_equal(parameter.grad, value)
        network.needs_input_grad = True
        assert model.needs_input_grad


def test_encoder_without_parameters_may_stand_in_front_too(rng):
    model = Autoencoder(Flatten(), Linear(6, 6, rng=0))
    X = in_a_plane()
    history = train(model, X)
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_array_equal(model.encode(X), X)


# encode, decode, reconstruct


def test_logits_come_back_as_probabilities_and_the_loss_still_gets_logits():
    X = in_a_plane()
    model = Autoencoder.symmetric([6, 5, 2], rng=0, logits=True)
    plain = Autoencoder(model.encoder, model.decoder)
    history = train(model, X, loss=BCEWithLogitsLoss(), epochs=60)
    np.testing.assert_array_equal(model.encode(X), plain.encode(X))
    np.testing.assert_array_equal(model(X), plain(X))
    np.testing.assert_array_equal(model.reconstruct(X), sigmoid(plain.reconstruct(X)))
    assert model.reconstruct(X).min() >= 0
    assert model.reconstruct(X).max() <= 1
    assert plain.reconstruct(X).min() < 0
    # The loss of the logits is the cross-entropy of those probabilities.
    p, loss = model.reconstruct(X).astype(np.float64), evaluate(model, BCEWithLogitsLoss(), X, X)["loss"]
    assert loss == pytest.approx(-(X * np.log(p) + (1 - X) * np.log1p(-p)).mean(), rel=1e-5)
    assert history["loss"][-1] == pytest.approx(loss, rel=0.05)
    # And they are close to the data, while logits are not.
    assert np.square(model.reconstruct(X) - X).mean() < 0.01 < np.square(plain.reconstruct(X) - X).mean()


def test_they_work_in_evaluation_mode_and_leave_the_modes_as_they_were():
    model = given()
    model.encoder[2].eval()  # Frozen, while the rest trains.
    X = in_a_plane()
    before = model.state_dict()
    modes = [module.training for _, module in model.named_modules()]
    first = model.encode(X), model.reconstruct(X)
    np.testing.assert_array_equal(model.encode(X), first[0])  # Dropout would differ.
    np.testing.assert_array_equal(model.reconstruct(X), first[1])
    np.testing.assert_array_equal(model.decode(first[0]), first[1])
    assert [module.training for _, module in model.named_modules()] == modes
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_noise_in_front_does_not_reach_what_is_encoded():
    X = in_a_plane()
    model = Autoencoder.symmetric([6, 5, 2], rng=0)
    train(Sequential(GaussianNoise(0.3, rng=1), model), X)
    np.testing.assert_array_equal(model.encode(X), model.encode(X))
    inside = Autoencoder(Sequential(GaussianNoise(0.3, rng=1), *model.encoder), model.decoder).train()
    np.testing.assert_array_equal(inside.encode(X), model.encode(X))


def test_any_number_of_samples_and_any_data_that_predict_takes():
    model = Autoencoder.symmetric([3, 2], rng=0)
    assert model.encode([[1, 2, 3]]).shape == (1, 2)
    assert model.decode([[0, 0]]).shape == (1, 3)
    X = np.random.default_rng(0).uniform(size=(5000, 3))  # More than one batch of predict.
    assert model.reconstruct(X).shape == (5000, 3)
    assert model.reconstruct(X).dtype == np.float32
    np.testing.assert_allclose(model.encode(X)[-5:], model.encode(X[-5:]), rtol=1e-5)


def test_nothing_of_the_data_stays_in_it():
    model = given()
    train(model, in_a_plane())
    model.reconstruct(in_a_plane())
    assert all(module._saved is None for _, module in model.named_modules())


# As a module


@every_way
def test_state_round_trip_in_both_dtypes(way):
    X = in_a_plane()
    model, other = WAYS[way](), WAYS[way]()
    train(model, X, loss=loss_of(model))
    assert all(name.startswith(("encoder.", "decoder.")) for name in model.state_dict())
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.reconstruct(X), model.reconstruct(X))
    np.testing.assert_allclose(model.astype(np.float64).reconstruct(X), other.reconstruct(X), rtol=1e-4, atol=1e-6)
    assert model.encode(X).dtype == np.float64


def test_modes_reach_both_halves():
    model = given()
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())
    assert model.train().encoder[4].training


def test_deep_copy_trains_on_its_own():
    X = in_a_plane()
    model = given()
    kept = model.encode(X)
    train(copy.deepcopy(model), X)
    np.testing.assert_array_equal(model.encode(X), kept)


def test_half_can_be_trained_alone():
    X = in_a_plane()
    model = Autoencoder.symmetric([6, 5, 2], rng=0)
    codes = model.encode(X)
    fit(model.decoder, MSELoss(), SGD(model.decoder.parameters(), lr=0.1), codes, X, epochs=5, rng=0)
    np.testing.assert_array_equal(model.encode(X), codes)
    assert model.decoder.needs_input_grad
    assert check_gradients(model, X[:4])


# What it learns


def test_code_as_wide_as_the_data_is_deep_reconstructs_it():
    X = in_a_plane(200)
    for tied in (False, True):
        model = Autoencoder.symmetric([6, 2], init="xavier_normal", rng=0, tied=tied)
        train(model, X, epochs=200)
        assert np.square(model.reconstruct(X) - X).mean() < 1e-4 < X.var() / 100


def test_linear_autoencoder_comes_close_to_the_principal_components_and_never_below():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 6)) * [3, 2, 1, 0.5, 0.3, 0.1]).astype(np.float32) @ np.linalg.qr(
        rng.normal(size=(6, 6))
    )[0].astype(np.float32)
    centred = X - X.mean(axis=0)
    best = np.square(np.linalg.svd(centred.astype(np.float64))[1][2:]).sum() / X.size
    model = Autoencoder.symmetric([6, 2], init="xavier_normal", rng=1)
    train(model, X, epochs=300)
    error = np.square(model.reconstruct(X) - X).mean()
    assert best * (1 - 1e-4) <= error <= 1.02 * best


def test_denoising_brings_noisy_samples_closer_to_the_clean_ones():
    X = in_a_plane(400)
    model = Autoencoder.symmetric([6, 16, 2], rng=0)
    train(Sequential(GaussianNoise(0.1, rng=1), model), X, epochs=60)
    noisy = GaussianNoise(0.1, rng=2)(X)
    assert np.square(model.reconstruct(noisy) - X).mean() < 0.6 * np.square(noisy - X).mean()


# Errors


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="decoder must be a Module; got None"):
        Autoencoder(Linear(2, 1, rng=0), None)
    with pytest.raises(TypeError, match=r"encoder must be a Module; got \[784, 32\]"):
        Autoencoder([784, 32], Linear(2, 1, rng=0))
    for sizes in ([784], []):
        with pytest.raises(
            ValueError, match=r"sizes must hold at least two widths, of the input and of the code; got \["
        ):
            Autoencoder.symmetric(sizes)
    with pytest.raises(ValueError, match=r"sizes\[1\] must be at least 1; got 0"):
        Autoencoder.symmetric([784, 0])
    with pytest.raises(TypeError, match=r"sizes\[0\] must be a whole number; got 784\.0"):
        Autoencoder.symmetric([784.0, 32])
    with pytest.raises(ValueError, match=r"activation must be one of \['leaky_relu', .*'swish'"):
        Autoencoder.symmetric([784, 32], "swish")
    with pytest.raises(ValueError, match=r"init must be one of \['kaiming_normal', .*'glorot'"):
        Autoencoder.symmetric([784, 32], init="glorot")


def test_wrong_data_is_named():
    model = Autoencoder.symmetric([6, 2], rng=0)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 6\) to enter Linear\(6, 2\); got \(3, 5\)"):
        model.encode(np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\) to enter Linear\(2, 6\); got \(3, 6\)"):
        model.decode(np.zeros((3, 6)))
    with pytest.raises(ValueError, match="X must be finite"):
        model.encode(np.full((3, 6), np.nan))
    model = Autoencoder(Linear(6, 2, rng=0), Linear(3, 6, rng=0))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\) to enter Linear\(3, 6\); got \(3, 2\)"):
        model(np.zeros((3, 6)))


def test_backward_needs_a_forward_and_only_one():
    model = Autoencoder.symmetric([6, 2], rng=0)
    with pytest.raises(RuntimeError, match="call forward first"):
        model.backward(np.zeros((3, 6)))
    model(np.zeros((3, 6)))
    model.backward(np.zeros((3, 6), dtype=np.float32))
    with pytest.raises(RuntimeError, match="call forward first"):
        model.backward(np.zeros((3, 6)))


def test_it_is_a_module():
    assert issubclass(Autoencoder, Module)
    assert [name for name, _ in Autoencoder.symmetric([6, 2], rng=0).children()] == ["encoder", "decoder"]
