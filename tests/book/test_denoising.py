"""What the noise and code experiments compute besides training: corruptions, filters and votes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

import nnkit as nn
from book.experiments.latent_codes import LARGEST_K, between_digits, predictions
from book.experiments.shared.corruptions import CORRUPTIONS, Corruption, filtered, pca_projection


@pytest.fixture
def pictures():
    return np.random.default_rng(0).random((200, 784), dtype=np.float32)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruption_at_level_zero_changes_nothing(kind, pictures):
    corrupted = CORRUPTIONS[kind](pictures, 0, np.random.default_rng(1))
    assert corrupted.dtype == np.float32
    assert np.array_equal(corrupted, pictures)


def test_corruptions_match_their_level(pictures):
    rng = np.random.default_rng(1)
    noise = CORRUPTIONS["Gaussian"](pictures, 0.3, rng) - pictures
    assert np.isclose(noise.std(), 0.3, rtol=0.01)
    assert abs(noise.mean()) < 0.005
    seasoned = CORRUPTIONS["salt and pepper"](pictures, 0.4, rng)
    assert np.isclose((seasoned == 0).mean(), 0.2, atol=0.005)
    assert np.isclose((seasoned == 1).mean(), 0.2, atol=0.005)
    masked = CORRUPTIONS["masking"](pictures, 0.4, rng)
    assert np.isclose((masked == 0).mean(), 0.4, atol=0.005)
    assert np.array_equal(masked[masked != 0], pictures[masked != 0])


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruption_layer_draws_a_new_level_per_sample_only_in_training_mode(kind, pictures):
    layer = Corruption(kind, 0.0, 0.5, np.random.default_rng(2))
    first, second = layer(pictures), layer(pictures)
    assert not np.array_equal(first, second)
    changed = np.sort((first != pictures).mean(axis=1) if kind != "Gaussian" else (first - pictures).std(axis=1))
    assert changed[0] < 0.05 < 0.4 < changed[-1] < 0.56
    layer.eval()
    assert layer(pictures) is pictures


def test_training_through_corruption_uses_clean_targets(pictures):
    rng = np.random.default_rng(0)
    model = nn.Autoencoder.symmetric([784, 8], rng=rng)
    seen = []

    class Watched(nn.MSELoss):
        def forward(self, pred, target):
            seen.append(target.copy())
            return super().forward(pred, target)

    optimizer = nn.SGD(model.parameters(), lr=0.1)
    through = nn.Sequential(Corruption("Gaussian", 0.5, 0.5, rng), model)
    nn.fit(through, Watched(), optimizer, pictures, pictures, epochs=1, batch_size=50, rng=rng)
    assert np.isin(np.concatenate(seen), pictures).all()


def test_filters_smooth_and_leave_a_flat_image_unchanged(pictures):
    pca = PCA(svd_solver="covariance_eigh").fit(pictures)
    flat = np.full((2, 784), 0.5, np.float32)
    for name, setting in (("Gaussian filter", 1.0), ("median filter", 3)):
        assert np.allclose(filtered(name, flat, setting, None), flat, atol=1e-6)
        assert filtered(name, pictures, setting, None).var() < 0.5 * pictures.var()
    # Each image is filtered by itself: neighbours in the array do not leak in.
    mixed = np.concatenate([flat, pictures[:1]])
    assert np.allclose(filtered("Gaussian filter", mixed, 2.0, None)[:2], flat, atol=1e-6)
    assert np.allclose(filtered("PCA", pictures, 784, pca), pictures, atol=1e-4)
    assert np.allclose(pca_projection(pictures, pca, 0), pca.mean_, atol=1e-6)


def test_predictions_for_each_k_match_the_classifier():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 400)
    codes = (rng.normal(size=(400, 2)) + y[:, None] / 3).astype(np.float32)
    queries = rng.normal(size=(100, 2)).astype(np.float32)
    found = predictions(codes, y, queries)
    assert found.shape == (100, LARGEST_K)
    for k in (1, 2, 4, 5, 10, 25):
        assert np.array_equal(found[:, k - 1], nn.KNeighborsClassifier(k).fit(codes, y).predict(queries))


def test_distances_between_digits_use_their_means():
    codes = np.repeat(np.arange(10.0), 2)[:, None] + np.tile([-0.5, 0.5], 10)[:, None]
    result = between_digits(codes, np.repeat(np.arange(10), 2))
    assert np.allclose(result["centroid_distances"], np.abs(np.subtract.outer(np.arange(10.0), np.arange(10.0))))
    assert np.allclose(result["spread"], 0.5)
