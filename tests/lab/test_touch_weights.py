"""Networks and digits as text: the page computes what nnkit computes with the same rounded weights."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

import nnkit as nn
from book.experiments.latent_maps import kept_network as kept_map
from book.experiments.shared.autoencoders import kept_network
from lab.touch import stored
from lab.touch.modules import in_order, script
from lab.touch.weights import packed, packed_digits, rounded

pytestmark = pytest.mark.site

NAMES = ("mnist_classifier", "autoencoder", "denoiser")
_HOST = """window.made = {};
window.nnkitTouch = {
  define: (name, needs, make) => (made[name] = make(...needs.map((need) => made[need]))),
};"""


def page_with_modules(browser, *names):
    """Return an empty page in which ``made`` holds what these modules export."""
    page = browser.new_page()
    needed = dict.fromkeys(each for name in names for each in in_order(name))
    page.evaluate("(text) => { window.eval(text); }", _HOST)
    for name in needed:
        page.evaluate("(text) => { window.eval(text); }", script(name))
    return page


@pytest.fixture(scope="module")
def page(browser):
    page = page_with_modules(browser, "weights")
    yield page
    page.close()


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


_FORWARD = """([packed, pixels, n, logits]) => {
  const model = made.weights.network(JSON.parse(packed));
  const ink = Float64Array.from(atob(pixels), (letter) => letter.charCodeAt(0) / 255);
  const output = Float32Array.from(model.forward(ink, n), logits ? (z) => z : made.net.sigmoid);
  const bytes = new Uint8Array(output.buffer);
  let letters = "";
  for (let i = 0; i < bytes.length; i += 8192) letters += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(letters);
}"""


def assert_page_agrees(page, name, pixels):
    """Fail if the page's network and nnkit's, both with the rounded weights, differ by 1e-6 on these bytes."""
    roles = {role: packed(each) for role, each in stored.networks(name).items()}
    layers = [layer for each in roles.values() for layer in each]
    model, sent = rounded(layers), json.dumps(layers)
    is_classifier = name == "mnist_classifier"
    for start in range(0, len(pixels), 1000):
        part = pixels[start : start + 1000]
        answer = page.evaluate(_FORWARD, [sent, text(part), len(part), is_classifier])
        found = np.frombuffer(base64.b64decode(answer), np.float32).reshape(len(part), -1)
        expected = model.forward(part / 255)
        if not is_classifier:
            expected = nn.Sigmoid().forward(expected)
        # What came back is in float32, half of whose last digit is added.
        assert np.abs(found - expected).max() < 1e-6 + np.spacing(np.float32(np.abs(expected).max()))
        if is_classifier:
            assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_reads_the_stored_digits_as_nnkit_does(page, name):
    assert_page_agrees(page, name, stored.digits()[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_page_reads_all_test_digits_as_nnkit_does(page, name, mnist):
    assert_page_agrees(page, name, np.rint(255 * mnist.X_test).astype(np.uint8))


def test_rounding_the_weights_costs_less_than_a_tenth_of_a_point(mnist):
    model = stored.networks("mnist_classifier")[""]
    X = mnist.X_test.astype(np.float64)
    exact, short = (nn.accuracy(mnist.y_test, each.forward(X)) for each in (model, rounded(packed(model))))
    assert exact > 0.97
    assert abs(exact - short) < 0.001


@pytest.mark.parametrize("name", ["autoencoder", "denoiser"])
def test_rounding_the_weights_costs_an_autoencoder_little(name, mnist):
    both = stored.networks(name)
    X = mnist.X_test[::5].astype(np.float64)

    def error(encoder, decoder):
        return np.mean((nn.Sigmoid().forward(decoder.forward(encoder.forward(X))) - X) ** 2)

    exact, short = error(**both), error(**{role: rounded(packed(each)) for role, each in both.items()})
    assert exact < short < 1.06 * exact


def test_stored_networks_are_those_that_chapters_load():
    X = stored.digits()[0].astype(np.float32) / 255
    for name, book in (("autoencoder", kept_network("autoencoder")), ("latent_4", kept_map())):
        both = stored.networks(name)
        codes = both["encoder"].forward(X.astype(np.float64))
        assert np.allclose(codes, book.encode(X), atol=1e-3)
        decoded = nn.Sigmoid().forward(both["decoder"].forward(codes))
        assert np.allclose(decoded, book.decode(codes.astype(np.float32)), atol=1e-3)
    with pytest.raises(FileNotFoundError):
        stored.networks("nothing")


def test_stored_digits_are_the_first_of_each_class(mnist, tmp_path):
    pixels, labels, index = stored.digits()
    with np.load(stored.keep(mnist, tmp_path / "digits.npz")) as again:
        for kept, now in zip((pixels, labels, index), again.values(), strict=True):
            assert np.array_equal(kept, now)
    assert np.array_equal((pixels / np.float32(255)).astype(np.float32), mnist.X_test[index])
    assert np.array_equal(labels, mnist.y_test[index])
    assert np.bincount(labels).tolist() == [stored.EACH] * 10


def test_samples_of_stored_digits_are_even_and_apart():
    labels = stored.digits()[1]
    few, others = stored.sample(5), stored.sample(25, 5)
    assert np.bincount(labels[few]).tolist() == [5] * 10
    assert np.bincount(labels[others]).tolist() == [25] * 10
    assert np.intersect1d(few, others).size == 0
    with pytest.raises(ValueError, match="data must be MNIST; got 'digits'"):
        stored.keep(nn.Dataset(*[np.zeros(1)] * 4, name="digits"))


def test_digits_come_out_as_they_went_in(page, rng):
    pixels = rng.integers(0, 256, (5, 784), dtype=np.uint8)
    pixels[0], pixels[1, :300], pixels[3] = 0, 0, 255
    pixels[4] *= rng.integers(0, 2, 784, dtype=np.uint8)
    sent = packed_digits(pixels, np.arange(5))
    back = page.evaluate(
        "sent => { const all = made.weights.unpackedDigits(sent); return all.labels.map((_, i) => [...all.of(i)]); }",
        sent,
    )
    assert np.array_equal(back, pixels)
    with pytest.raises(ValueError, match=r"pixels must be uint8 .* got float64 of \(5, 784\)"):
        packed_digits(pixels.astype(float), np.arange(5))


def small(*, rng=0):
    return nn.Sequential(
        nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Sequential(nn.Linear(4, 2, bias=False, rng=rng), nn.Sigmoid())
    )


def test_rounded_weights_are_within_half_a_step():
    model = small()
    model[0].weight.data[:, 1] = 0
    model[0].bias.data[:] = [1, 2, 3, -4]
    layers = packed(model)
    assert json.loads(json.dumps(layers)) == layers
    assert [layer["kind"] for layer in layers] == ["Linear", "Tanh", "Linear", "Sigmoid"]
    again = rounded(layers)
    assert all(parameter.data.dtype == np.float64 for parameter in again.parameters())
    for mine, its in ((model[0], again[0]), (model[2][0], again[2])):
        step = np.abs(mine.weight.data).max(axis=0) / 127
        assert (np.abs(mine.weight.data - its.weight.data) <= step / 2 * (1 + 1e-5)).all()
    assert again[0].bias.data.tolist() == [1, 2, 3, -4]
    assert not again[0].weight.data[:, 1].any()
    assert packed(again)[0]["weight"] == layers[0]["weight"]  # Rounding what is round changes nothing.


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        (
            nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)),
            TypeError,
            "must be made of Linear, ReLU, .*Dropout.* as layer 2",
        ),
        (nn.Sequential(nn.ReLU()), ValueError, "at least one Linear"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)), ValueError, "layer 2 must take the 3 numbers"),
        (3, TypeError, "model must be a Module"),
    ],
)
def test_what_cannot_be_packed_is_named(model, error, says):
    with pytest.raises(error, match=says):
        packed(model)


def test_weights_that_are_not_finite_are_refused():
    model = small()
    model[0].weight.data[0, 0] = np.nan
    with pytest.raises(ValueError, match="must have finite weights; those of layer 1"):
        packed(model)


def spoilt(**changes):
    layers = packed(small())
    layers[2] |= changes
    return layers


BAD = [
    (
        spoilt(out=3),
        "must be 12 numbers of 1 byte",
        "The scales of layer 3 do not fit their header: 3 numbers are expected, and 2",
    ),
    (
        spoilt(weight=text(np.zeros(7, np.int8))),
        "must be 8 numbers",
        "do not fit their header: 8 numbers are expected, and 7",
    ),
    (spoilt(kind="Conv"), "the kind of layer 3", 'The kind of layer 3 is not known: "Conv".'),
    (spoilt(weight="%%%"), "must be there as base64", "The weights of layer 3 cannot be read"),
    (
        packed(nn.Linear(3, 4)) + packed(nn.Linear(3, 4)),
        "must take the 4 numbers",
        "says that 3 numbers go in, but 4 come out",
    ),
]


@pytest.mark.parametrize(("layers", "in_python", "on_a_page"), BAD, ids=[says[:20] for _, says, _ in BAD])
def test_numbers_that_do_not_fit_their_header_are_a_sentence(page, layers, in_python, on_a_page):
    with pytest.raises(ValueError, match=in_python):
        rounded(layers)
    said = page.evaluate(
        "(sent) => { try { made.weights.network(sent); } catch (error) { return error.message; } }", layers
    )
    assert on_a_page in said


@pytest.mark.parametrize("sent", [[], None, [None], [{"kind": "Linear", "in": 0, "out": 2}], [{"kind": "toString"}]])
def test_no_network_is_a_sentence_too(page, sent):
    said = page.evaluate(
        "(sent) => { try { made.weights.network(sent); } catch (error) { return error.message; } }", sent
    )
    assert said
    assert said.endswith(".")


def test_digits_that_do_not_fit_their_labels_are_a_sentence(page):
    sent = packed_digits(np.zeros((2, 784), np.uint8), np.arange(2)) | {"labels": "012"}
    said = page.evaluate(
        "(sent) => { try { made.weights.unpackedDigits(sent); } catch (error) { return error.message; } }", sent
    )
    assert "2352 pixels are expected, and 1568 are there" in said
