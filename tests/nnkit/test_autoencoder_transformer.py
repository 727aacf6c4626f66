"""AutoencoderTransformer: codes in pipelines, reconstructions, dtypes and seeds; only fit trains."""

import pickle

import numpy as np
import pytest

import nnkit as nn

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_transformer_general, check_transformer_preserve_dtypes

from nnkit import AutoencoderTransformer


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, random_state=0, stratify=y)


def in_a_plane(n=60, width=6):
    """Return samples in [0, 1] that lie in a plane, so that two numbers describe each."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(n, 2)) @ rng.uniform(size=(2, width))
    return X / X.max()


def quick(**params):
    defaults = {"n_components": 2, "hidden_layer_sizes": 5, "lr": 0.01, "batch_size": 16, "max_epochs": 3}
    return AutoencoderTransformer(**{**defaults, "random_state": 0, **params})


def weights(transformer):
    return np.concatenate([parameter.data.ravel() for parameter in transformer.model_.parameters()])


# In pipelines and searches


def test_pipeline_feeds_codes_to_a_support_vector_machine(digits):
    X, X_test, y, y_test = digits
    pipeline = make_pipeline(AutoencoderTransformer(16, 32, loss="bce", lr=3e-3, random_state=0), SVC())
    score = pipeline.fit(X, y).score(X_test, y_test)
    assert score >= 0.93
    # The SVM sees sixteen numbers per digit, and they come from the trained network.
    assert pipeline[-1].n_features_in_ == 16
    untrained = make_pipeline(AutoencoderTransformer(16, 32, lr=0.0, max_epochs=1, random_state=0), SVC())
    assert untrained.fit(X, y).score(X_test, y_test) < score


def test_grid_search_finds_a_code_width(digits):
    X, _, y, _ = digits
    pipeline = make_pipeline(
        MinMaxScaler(), quick(hidden_layer_sizes=16, max_epochs=5), LogisticRegression(max_iter=500)
    )
    grid = {"autoencodertransformer__n_components": [1, 8]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X[:500], y[:500])
    assert search.best_params_ == {"autoencodertransformer__n_components": 8}


def test_data_frames_and_feature_names_are_supported():
    X = in_a_plane()
    transformer = quick().fit(X)
    names = ["autoencodertransformer0", "autoencodertransformer1"]
    assert list(transformer.get_feature_names_out()) == names
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    codes = quick().set_output(transform="pandas").fit(frame).transform(frame)
    assert list(codes.columns) == names
    np.testing.assert_array_equal(codes.to_numpy(), transformer.transform(X))
    with pytest.raises(ValueError, match="feature names should match"):
        quick().fit(frame).transform(frame[list("fedcba")])


def test_targets_are_ignored():
    X = in_a_plane()
    np.testing.assert_array_equal(weights(quick().fit(X)), weights(quick().fit(X, np.arange(len(X)))))


def test_init_stores_parameters_unchanged():
    given = {"n_components": 3, "hidden_layer_sizes": [3, 2], "activation": nn.Tanh, "clip": (0, 1), "loss": "bce"}
    transformer = AutoencoderTransformer(**given)
    assert all(getattr(transformer, name) is value for name, value in given.items())
    assert clone(transformer).get_params()["activation"] is nn.Tanh
    assert transformer.set_params(lr=0.5, tied=True).get_params()["tied"]


def test_clone_is_untrained_and_trains_identically():
    X = in_a_plane()
    transformer = quick().fit(X)
    other = clone(transformer)
    for method in (other.transform, other.inverse_transform):
        with pytest.raises(NotFittedError):
            method(X)
    np.testing.assert_array_equal(weights(other.fit(X)), weights(transformer))


def test_pickle_preserves_codes_and_omits_training_data():
    X = in_a_plane(2000)
    transformer = quick(noise=0.1, max_epochs=1).fit(X)
    expected = transformer.transform(X)
    packed = pickle.dumps(transformer)
    assert len(packed) < 6000 < X.nbytes
    np.testing.assert_array_equal(pickle.loads(packed).transform(X), expected)


# Codes and reconstructions


@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("tied", [False, True])
def test_inverse_transform_of_transform_is_the_reconstruction(loss, tied):
    X = in_a_plane()
    transformer = quick(loss=loss, tied=tied, max_epochs=200).fit(X)
    codes = transformer.transform(X)
    assert codes.shape == (60, 2)
    np.testing.assert_array_equal(codes, transformer.model_.encode(X))
    back = transformer.inverse_transform(codes)
    np.testing.assert_array_equal(back, transformer.model_.reconstruct(X))
    assert np.square(back - X).mean() < 0.1 * X.var()
    if loss == "bce":
        assert 0 <= back.min() <= back.max() <= 1


def test_codes_come_from_the_trained_weights():
    # One source's library encoded with a network that was never trained.
    X = in_a_plane()
    before, after = quick(lr=0.0).fit(X), quick(max_epochs=20).fit(X)
    assert np.abs(before.transform(X) - after.transform(X)).max() > 0.1
    W1, b1, W2, b2 = (parameter.data for parameter in after.model_.encoder.parameters())
    np.testing.assert_allclose(after.transform(X), np.maximum(X @ W1 + b1, 0) @ W2 + b2, rtol=1e-12)
    for parameter in after.model_.parameters():
        parameter.data.fill(0)
    assert not after.transform(X).any()


def test_no_hidden_layers_gives_a_linear_autoencoder():
    X = in_a_plane()
    transformer = quick(hidden_layer_sizes=()).fit(X)
    mean = transformer.transform(np.stack([X[0], X[1]])).mean(axis=0)
    np.testing.assert_allclose(transformer.transform([(X[0] + X[1]) / 2])[0], mean)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_input_dtype_is_preserved(dtype):
    X = in_a_plane().astype(dtype)
    transformer = quick().fit(X)
    codes = transformer.transform(X)
    assert codes.dtype == dtype
    assert transformer.inverse_transform(codes).dtype == dtype
    # Only the input and output are rounded to single precision, so the two agree to that precision.
    np.testing.assert_allclose(codes, quick().fit(in_a_plane()).transform(in_a_plane()), rtol=1e-4, atol=1e-6)
    assert transformer.transform((9 * X).astype(int)).dtype == np.float64
    assert {parameter.data.dtype for parameter in transformer.model_.parameters()} == {np.dtype(np.float64)}


def test_code_of_a_sample_does_not_depend_on_the_batch():
    X = in_a_plane()
    transformer = quick(noise=0.1).fit(X)
    for data in (X, X.astype(np.float32)):
        together = transformer.transform(data)
        alone = np.concatenate([transformer.transform(x[None]) for x in data])
        np.testing.assert_allclose(together, alone, rtol=1e-12 if data is X else 1e-6)


def test_tags_match_capabilities():
    tags = get_tags(AutoencoderTransformer())
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
    assert not any(
        [tags.target_tags.required, tags.input_tags.sparse, tags.input_tags.allow_nan, tags.non_deterministic]
    )


def test_scikit_learn_checks_catch_wrong_dtypes_and_varying_codes():
    class Widened(AutoencoderTransformer):
        def transform(self, X):
            return super().transform(X).astype(np.float64)

    class Noisy(AutoencoderTransformer):
        def transform(self, X):
            codes = super().transform(X)
            return codes + np.random.default_rng().normal(size=codes.shape)

    check_transformer_preserve_dtypes("AutoencoderTransformer", AutoencoderTransformer())
    with pytest.raises(AssertionError):
        check_transformer_preserve_dtypes("Widened", Widened())
    check_transformer_general("AutoencoderTransformer", AutoencoderTransformer())
    with pytest.raises(AssertionError):
        check_transformer_general("Noisy", Noisy())


# Training is done by fit


@pytest.mark.parametrize(
    ("params", "sizes", "options"),
    [
        ({}, [64, 256, 128, 64, 32], {}),
        ({"n_components": 3, "hidden_layer_sizes": 5, "activation": "tanh"}, [64, 5, 3], {"activation": "tanh"}),
        ({"hidden_layer_sizes": (), "tied": True}, [64, 32], {"tied": True}),
        ({"hidden_layer_sizes": [9], "init": "xavier_normal"}, [64, 9, 32], {"init": "xavier_normal"}),
        ({"hidden_layer_sizes": [9], "loss": "bce"}, [64, 9, 32], {"logits": True}),
        ({"hidden_layer_sizes": [9], "noise": 0.3}, [64, 9, 32], {}),
        ({"hidden_layer_sizes": [9], "noise": 0.3, "clip": (0, 1), "loss": "bce"}, [64, 9, 32], {"logits": True}),
        ({"hidden_layer_sizes": [9], "optimizer": "sgd", "lr": 0.5, "weight_decay": 0.01}, [64, 9, 32], {}),
    ],
)
def test_weights_match_the_same_training_by_hand(digits, params, sizes, options):
    X = digits[0][:200]
    transformer = AutoencoderTransformer(max_epochs=2, batch_size=50, random_state=7, **params).fit(X)

    rng = np.random.default_rng(7)
    model = nn.Autoencoder.symmetric(sizes, rng=rng, **options)
    network = model
    if "noise" in params:
        network = nn.Sequential(nn.GaussianNoise(params["noise"], rng, clip=params.get("clip")), model)
    optimizer = nn.SGD(model.parameters(), 0.5, weight_decay=0.01) if "lr" in params else nn.Adam(model.parameters())
    loss = nn.BCEWithLogitsLoss() if options.get("logits") else nn.MSELoss()
    history = nn.fit(network, loss, optimizer, X, X, epochs=2, batch_size=50, rng=rng)

    np.testing.assert_array_equal(
        weights(transformer), np.concatenate([parameter.data.ravel() for parameter in model.parameters()])
    )
    np.testing.assert_array_equal(transformer.history_["loss"], history["loss"])
    assert {"loss", "seconds"} == set(transformer.history_)
    assert transformer.n_iter_ == 2


def test_denoising_moves_noisy_samples_closer_to_the_clean_ones():
    X = in_a_plane(400)
    noisy = nn.GaussianNoise(0.1, rng=2)(X)
    transformer = quick(hidden_layer_sizes=16, noise=0.1, max_epochs=60).fit(X)
    back = transformer.inverse_transform(transformer.transform(noisy))
    assert np.square(back - X).mean() < 0.6 * np.square(noisy - X).mean()


def test_refit_starts_from_scratch():
    X = in_a_plane()
    transformer = quick().fit(X)
    first, kept = weights(transformer), transformer.model_
    assert transformer.set_params(n_components=1).fit(X[:, :3]).transform(X[:, :3]).shape == (60, 1)
    assert transformer.get_feature_names_out().shape == (1,)
    np.testing.assert_array_equal(weights(transformer.set_params(n_components=2).fit(X)), first)
    assert transformer.model_ is not kept


def test_verbose_shows_a_progress_bar(capsys):
    pytest.importorskip("tqdm")
    quick().fit(in_a_plane())
    assert capsys.readouterr().err == ""
    quick(verbose=True).fit(in_a_plane())
    assert "3/3" in capsys.readouterr().err


# Seeds


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_same_seed_is_reproducible_and_another_seed_differs(noise):
    X = in_a_plane()
    first, same, other = (quick(random_state=seed, noise=noise).fit(X) for seed in (3, 3, 4))
    np.testing.assert_array_equal(weights(first), weights(same))
    assert not np.array_equal(weights(first), weights(other))
    np.testing.assert_array_equal(weights(first), weights(first.fit(X)))
    none, again = (quick(random_state=None, noise=noise, activation="tanh").fit(X) for _ in range(2))
    assert not np.array_equal(weights(none), weights(again))


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_generator_continues_from_its_state(make):
    X = in_a_plane()
    first, second = quick(random_state=make(3)).fit(X), quick(random_state=make(3)).fit(X)
    np.testing.assert_array_equal(weights(first), weights(second))
    assert not np.array_equal(weights(first), weights(second.fit(X)))


def test_global_random_state_is_untouched():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quick(noise=0.1, random_state=None, activation="tanh").fit_transform(in_a_plane())
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Errors


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components must be at least 1; got 0"),
        ({"hidden_layer_sizes": (4, 0)}, ValueError, r"hidden_layer_sizes\[1\] must be at least 1; got 0"),
        ({"loss": nn.MSELoss}, ValueError, r"loss must be one of \['mse', 'bce'\]; got <class"),
        ({"noise": 0.1, "clip": (1, 0)}, ValueError, r"clip\[1\] must be .* above 1.0; got 0"),
    ],
)
def test_invalid_parameter_is_named(params, error, message):  # test_failed_fits covers every parameter.
    with pytest.raises(error, match=message):
        quick(**params).fit(in_a_plane())


def test_invalid_data_is_named():
    X = in_a_plane()
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] for loss='bce'; got values from 0\.\d+ to 2"):
        quick(loss="bce").fit(2 * X)
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] for loss='bce'; got values from -"):
        quick(loss="bce").fit(X - 0.5)
    transformer = quick(loss="bce").fit(X)
    with pytest.raises(ValueError, match="X has 1 features, but AutoencoderTransformer is expecting 6"):
        transformer.transform(X[:, :1])
    with pytest.raises(ValueError, match=r"X must hold codes of shape \(n, 2\); got \(60, 6\)"):
        transformer.inverse_transform(X)
    with pytest.raises(ValueError, match="NaN"):
        transformer.inverse_transform([[np.nan, 0]])


def test_divergence_warns():
    transformer = quick(optimizer="sgd", lr=1e30)
    with pytest.warns(nn.DivergenceWarning, match="diverged in epoch 1"):
        transformer.fit(in_a_plane())
    assert transformer.n_iter_ == 1
