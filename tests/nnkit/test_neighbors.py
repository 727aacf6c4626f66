"""KNeighborsClassifier: exact neighbours on hard data, agreement with scikit-learn, ties, and memory."""

import itertools
import pickle
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("hypothesis")

import hypothesis
import hypothesis.strategies as st
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier as ScikitLearns
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nnkit import KNeighborsClassifier
from nnkit.estimators import neighbors


def by_definition(X, queries, k):
    """Return distances and indices from all pairwise differences in float64, sorted by distance, then by index."""
    X, queries = np.asarray(X, dtype=np.float64), np.asarray(queries, dtype=np.float64)
    distances = np.array([np.sqrt(((X - q) ** 2).sum(axis=1)) for q in queries])
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, indices, axis=1), indices


def fitted(X, k=5, y=None, **params):
    return KNeighborsClassifier(k, **params).fit(X, np.arange(len(X)) % 3 if y is None else y)


def check_neighbours(X, queries, k):
    """Check neighbours against the definition; rounding may swap near ties."""
    distances, indices = fitted(X, k).kneighbors(queries)
    expected, _ = by_definition(X, queries, k)
    np.testing.assert_allclose(distances, expected, rtol=1e-12, atol=0)
    differences = np.asarray(X, dtype=np.float64)[indices] - np.asarray(queries, dtype=np.float64)[:, None]
    np.testing.assert_allclose(np.sqrt((differences**2).sum(axis=2)), expected, rtol=1e-12, atol=0)
    assert all(len(set(row)) == k for row in indices)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:1400], X[1400:], y[:1400], y[1400:]


# The scikit-learn contract


@parametrize_with_checks([KNeighborsClassifier(4, weights="distance")])  # test_estimators covers the default.
def test_scikit_learn_estimator_checks_pass(estimator, check):
    check(estimator)


def test_clone_keeps_parameters_and_is_a_classifier():
    classifier = clone(KNeighborsClassifier(7, weights="distance"))
    assert classifier.get_params() == {"n_neighbors": 7, "weights": "distance"}
    assert is_classifier(classifier)
    with pytest.raises(NotFittedError):
        classifier.predict([[0.0]])


def test_pickle_preserves_predictions(digits):
    X, queries, y, _ = digits
    classifier = KNeighborsClassifier().fit(X, y)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(queries), classifier.predict_proba(queries))


def test_pipeline_grid_search_and_cross_validation_work(digits):
    X, queries, y, y_queries = digits
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier())
    grid = {"kneighborsclassifier__n_neighbors": [1, 400], "kneighborsclassifier__weights": ["uniform", "distance"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X[:800], y[:800])
    assert search.best_params_["kneighborsclassifier__n_neighbors"] == 1
    assert search.score(queries, y_queries) > 0.85
    assert cross_val_score(KNeighborsClassifier(), X[:600], y[:600], cv=3, scoring="roc_auc_ovr").min() > 0.95


def test_data_frame_columns_are_remembered():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"width": [0.0, 1.0], "height": [1.0, 3.0]})
    classifier = fitted(frame, 1, ["a", "b"])
    assert list(classifier.feature_names_in_) == ["width", "height"]
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame[["height", "width"]])


@pytest.mark.parametrize("labels", [["red", "green", "blue"], [30, 10, 20], [2.0, -1.0, 0.0]])
def test_predictions_use_the_original_labels(labels, rng):
    y = np.asarray(labels)[np.arange(30) % 3]
    X = rng.normal(size=(30, 2))
    classifier = fitted(X, 1, y)
    np.testing.assert_array_equal(classifier.classes_, np.unique(y))
    np.testing.assert_array_equal(classifier.predict(X), y)
    assert classifier.predict(X).dtype == y.dtype
    assert classifier.score(X, y) == 1


def test_parameters_may_change_without_refitting(digits):
    X, queries, y, _ = digits
    classifier = KNeighborsClassifier().fit(X, y)
    for params in ({"n_neighbors": 1}, {"n_neighbors": 9, "weights": "distance"}):
        expected = KNeighborsClassifier(**params).fit(X, y).predict_proba(queries)
        np.testing.assert_array_equal(classifier.set_params(**params).predict_proba(queries), expected)


# Neighbours


HARD = {
    "noise": lambda rng: rng.normal(size=(300, 7)),
    "one feature": lambda rng: rng.normal(size=(300, 1)),
    "more features than samples": lambda rng: rng.normal(size=(60, 500)),
    "a large offset": lambda rng: 1e4 + rng.normal(size=(300, 5)),
    "differences that float32 cannot hold": lambda rng: 1e4 + 1e-6 * rng.normal(size=(300, 5)),
    "narrow clusters far apart": lambda rng: 1e3 * (np.arange(300) % 2)[:, None] + 1e-4 * rng.normal(size=(300, 5)),
    "clusters of many widths": lambda rng: (
        rng.choice([-1.0, 1.0], (300, 3)) * (1 + 10.0 ** rng.uniform(-9, 0, (300, 1)))
    ),
    "one distant sample": lambda rng: np.vstack([rng.normal(size=(299, 4)), np.full((1, 4), 1e9)]),
    "features of different sizes": lambda rng: rng.normal(size=(300, 4)) * [1e6, 1, 1e-6, 0],
    "numbers whose squares underflow": lambda rng: 1e-25 * rng.normal(size=(300, 4)),
    "numbers whose squares are coarse in float32": lambda rng: 1e-22 * rng.normal(size=(300, 4)),
    "large numbers": lambda rng: 1e17 * rng.normal(size=(300, 4)),
    "sorted": lambda rng: np.sort(rng.normal(size=(300, 1)), axis=0) * [1.0, 2.0],
    "heavy tails": lambda rng: rng.standard_cauchy((300, 3)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HARD)
def test_neighbours_match_the_definition(name, dtype):
    rng = np.random.default_rng(3)
    X = HARD[name](rng).astype(dtype)
    queries = np.concatenate([X[:30], X[rng.integers(len(X), size=20)] * dtype(1.001), X[:20] - X.mean(axis=0)])
    for k in (5, len(X)):
        check_neighbours(X, queries, k)


@pytest.mark.parametrize("distance", [10.0, 1e4, 1e8])
def test_queries_far_from_all_samples_find_exact_neighbours(distance, rng):
    X = rng.normal(size=(200, 3))
    check_neighbours(X, X[:20] + distance, 4)


def test_float32_alone_would_find_wrong_neighbours(monkeypatch, rng):
    # Shows that the tests above can fail: without error bounds, the float32 product decides.
    X = HARD["narrow clusters far apart"](rng)
    monkeypatch.setattr(KNeighborsClassifier, "_with_slack", lambda self, kth, half_squares: kth)
    with pytest.raises(AssertionError):
        check_neighbours(X, X[:50], 5)


def test_useless_bound_makes_every_sample_a_candidate(rng):
    X = 1 + rng.random(size=(7, 1_100_000), dtype=np.float32) / 1000
    check_neighbours(X, X[:2], 3)


@pytest.mark.parametrize("name", ["noise", "a large offset", "one distant sample", "heavy tails", "sorted"])
def test_few_samples_are_candidates(name, monkeypatch, rng):
    X, counts = HARD[name](rng), []
    squared_distances = KNeighborsClassifier._squared_distances

    def counted(self, Q, query, index):
        counts.append(len(query) / len(Q))
        return squared_distances(self, Q, query, index)

    monkeypatch.setattr(KNeighborsClassifier, "_squared_distances", counted)
    fitted(X, 5).kneighbors(X)
    # Only those below the bound from five groups, not all within the rounding error of large numbers.
    assert np.median(counts) < 9


@pytest.mark.parametrize("k", [1, 4])
def test_kneighbors_supports_scikit_learns_arguments(k, digits, rng):
    X, queries, y = digits[0][:300], digits[1][:100], digits[2][:300]
    X = X + 1e-3 * rng.normal(size=X.shape)  # Whole numbers would produce ties.
    own, peer = KNeighborsClassifier(3).fit(X, y), ScikitLearns(3, algorithm="kd_tree").fit(X, y)
    for arguments in ((queries,), (queries, k), (None, k), ()):
        for found, expected in zip(own.kneighbors(*arguments), peer.kneighbors(*arguments), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10)
        indices = own.kneighbors(*arguments, return_distance=False)
        np.testing.assert_array_equal(indices, peer.kneighbors(*arguments, return_distance=False))
    with pytest.raises(TypeError, match="positional"):
        KNeighborsClassifier(3, "distance")


def test_training_sample_is_not_its_own_neighbour_even_among_duplicates():
    classifier = fitted([[0.0], [0.0], [0.0], [0.0], [1.0]], 2)
    distances, indices = classifier.kneighbors()
    np.testing.assert_array_equal(indices, [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]])
    np.testing.assert_array_equal(distances, [[0, 0]] * 4 + [[1, 1]])
    assert classifier.kneighbors(n_neighbors=4)[1].shape == (5, 4)
    for bad, most in ((5, 4), (0, None)):
        with pytest.raises(ValueError, match=f"n_neighbors must be at most {most}" if most else "n_neighbors"):
            classifier.kneighbors(n_neighbors=bad)


@pytest.mark.parametrize(("dtype", "query_dtype"), [*itertools.permutations([np.int64, np.float32, np.float64], 2)])
def test_query_dtype_may_differ_from_training_dtype(dtype, query_dtype, rng):
    X, queries = rng.integers(-50, 50, (100, 3)).astype(dtype), rng.integers(-50, 50, (40, 3)).astype(query_dtype)
    distances, indices = fitted(X).kneighbors(queries)
    expected, expected_indices = by_definition(X, queries, 5)
    np.testing.assert_array_equal(distances, expected)
    np.testing.assert_array_equal(indices, expected_indices)
    assert distances.dtype == np.float64
    assert indices.dtype == np.int64


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)
@hypothesis.given(
    n=st.integers(1, 60),
    n_features=st.integers(1, 4),
    spread=st.integers(0, 5),
    offset=st.sampled_from([0, 10_000, -1_000_000]),
    dtype=st.sampled_from([np.float32, np.float64]),
    data=st.data(),
)
def test_ties_and_duplicates_are_ordered_by_distance_then_index(n, n_features, spread, offset, dtype, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    k = data.draw(st.integers(1, n))
    X, queries = (offset + rng.integers(-spread, spread + 1, (m, n_features)).astype(dtype) for m in (n, 7))
    distances, indices = fitted(X, k).kneighbors(queries)
    expected, expected_indices = by_definition(X, queries, k)
    np.testing.assert_array_equal(distances, expected)
    np.testing.assert_array_equal(indices, expected_indices)


def test_degenerate_training_data_is_supported():
    assert fitted([[2.0, 3.0]], 1, ["only"]).predict([[0.0, 0.0], [2.0, 3.0]]).tolist() == ["only", "only"]
    classifier = fitted(np.arange(6.0)[:, None], 4, np.ones(6, dtype=int))
    np.testing.assert_array_equal(classifier.predict_proba([[2.5]]), [[1.0]])
    distances, indices = fitted(np.full((50, 3), 7.0), 4).kneighbors([[7.0, 7.0, 7.0], [7.0, 7.0, 9.0]])
    np.testing.assert_array_equal(distances, [[0] * 4, [2] * 4])
    np.testing.assert_array_equal(indices, [range(4), range(4)])


@pytest.mark.parametrize("chunk", [1, 1000, 5000])
def test_chunk_size_does_not_change_the_result(chunk, monkeypatch, digits):
    X, queries, y, _ = digits
    classifier = KNeighborsClassifier().fit(X, y)
    expected = classifier.kneighbors(queries[:101])
    monkeypatch.setattr(neighbors, "CHUNK", chunk)
    for found, wanted in zip(classifier.kneighbors(queries[:101]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_result_for_a_query_does_not_depend_on_the_batch(rng):
    X, queries = rng.normal(size=(500, 30)).astype(np.float32), rng.normal(size=(50, 30))
    classifier = fitted(X, weights="distance")
    together, alone = classifier.kneighbors(queries), [classifier.kneighbors(q[None]) for q in queries]
    for i in (0, 1):
        np.testing.assert_array_equal(np.concatenate([found[i] for found in alone]), together[i])
    alone = np.concatenate([classifier.predict_proba(q[None]) for q in queries])
    np.testing.assert_array_equal(alone, classifier.predict_proba(queries))


# Votes


def test_tied_vote_goes_to_the_nearest_voter():
    # Distances from 0: b at 1, a at 2, a at 3, b at 4, c at 5.
    X, y = np.array([[3.0], [-1.0], [5.0], [-2.0], [4.0]]), np.array(["a", "b", "c", "a", "b"])
    assert [fitted(X, k, y).predict([[0.0]])[0] for k in (1, 2, 3, 4, 5)] == ["b", "b", "a", "b", "b"]
    np.testing.assert_allclose(fitted(X, 5, y).predict_proba([[0.0]]), [[0.4, 0.4, 0.2]], rtol=1e-15)
    assert ScikitLearns(5).fit(X, y).predict([[0.0]])[0] == "a"


def test_tied_votes_and_distances_go_to_the_first_sample():
    X = np.array([[1.0], [-1.0]])
    assert fitted(X, 2, ["b", "a"]).predict([[0.0]])[0] == "b"
    assert fitted(X[::-1], 2, ["a", "b"]).predict([[0.0]])[0] == "a"


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_prediction_has_the_largest_probability_even_if_votes_tie(weights, rng):
    X, queries = rng.integers(0, 4, (200, 2)), rng.integers(0, 4, (100, 2))
    classifier = fitted(X, 6, rng.permutation(200) % 4, weights=weights)
    probabilities = classifier.predict_proba(queries)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), classifier.predict(queries))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-15)
    assert 0 <= probabilities.min() <= probabilities.max() <= 1
    ordered = np.sort(probabilities, axis=1)
    tied = np.isclose(ordered[:, -1], ordered[:, -2], rtol=1e-14)
    assert tied.sum() > 10
    assert (ordered[:, -1] > ordered[:, -2]).all()


@pytest.mark.parametrize("k", [1, 4, 5, 30])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_probabilities_match_scikit_learn(k, weights, digits, rng):
    X, queries, y, _ = digits
    X = X + 1e-3 * rng.normal(size=X.shape)  # Whole numbers would produce ties at the last neighbour.
    queries = np.concatenate([queries, X[:50]])  # Some coincide with a sample.
    # Its k-d tree computes distances by definition, so a sample that coincides with the query is at zero.
    expected = ScikitLearns(k, weights=weights, algorithm="kd_tree").fit(X, y).predict_proba(queries)
    found = KNeighborsClassifier(k, weights=weights).fit(X, y).predict_proba(queries)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_only_samples_coinciding_with_the_query_vote():
    X, y = np.array([[0.0], [0.0], [1e-100], [1.0]]), np.array([0, 1, 2, 2])
    np.testing.assert_allclose(fitted(X, 4, y, weights="distance").predict_proba([[0.0]]), [[0.5, 0.5, 0]])
    near = fitted(X * 1e-5 + 1e-9, 4, y, weights="distance").predict_proba([[0.0]])
    np.testing.assert_allclose(near, [[1 / 3, 1 / 3, 1 / 3]], rtol=1e-3)


# MNIST


def test_mnist_predictions_match_scikit_learn_except_for_ties(mnist):
    X, y, queries = mnist.X_train[:20_000], mnist.y_train[:20_000], mnist.X_test[:500]
    found = KNeighborsClassifier().fit(X, y).predict(queries)
    differ = np.flatnonzero(found != ScikitLearns(algorithm="brute").fit(X, y).predict(queries))
    assert len(differ) < 6
    pixels = np.rint(X * 255)
    for i in differ:
        squared = ((pixels - np.rint(queries[i] * 255)) ** 2).sum(axis=1, dtype=np.int64)
        order = np.argsort(squared, kind="stable")
        votes = np.bincount(y[order[:5]], minlength=10)
        nearest = next(label for label in y[order[:5]] if votes[label] == votes.max())
        assert (votes == votes.max()).sum() > 1 or squared[order[4]] == squared[order[5]]
        assert found[i] == nearest


def test_neighbours_are_exact_on_integer_pixels(mnist):
    # Squared distances of whole numbers are exact in float64, expanded or not.
    X, queries = np.rint(mnist.X_train[:20_000] * 255), np.rint(mnist.X_test[-60:] * 255)
    distances, indices = fitted(X, 7).kneighbors(queries)
    squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    squared = squares - 2 * queries.astype(np.float64) @ X.T.astype(np.float64)
    squared += np.einsum("ij,ij->i", queries, queries, dtype=np.float64)[:, None]
    order = np.argsort(squared, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(distances, np.sqrt(np.take_along_axis(squared, order, axis=1)))


# Memory


@pytest.mark.parametrize("method", ["predict", "predict_proba", "kneighbors"])
def test_memory_does_not_grow_with_the_number_of_queries(method, rng):
    X, queries = rng.normal(size=(2000, 8)).astype(np.float32), rng.normal(size=(8000, 8))
    classifier = fitted(X)
    peaks, answer = [], None
    for n in (500, 8000):
        answer = None
        tracemalloc.start()
        answer = getattr(classifier, method)(queries[:n])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    size = sum(part.nbytes for part in answer) if method == "kneighbors" else answer.nbytes
    # Besides the result, the shares of three classes; a full score matrix would be hundreds of times larger.
    assert peaks[1] - peaks[0] < size + 8000 * 3 * 8 + 100_000


@pytest.mark.slow
def test_ties_everywhere_are_handled_in_chunks(monkeypatch):
    monkeypatch.setattr(neighbors, "CHUNK", 2**16)
    X = np.zeros((2000, 300), dtype=np.float32)
    classifier = fitted(X)
    tracemalloc.start()
    distances, indices = classifier.kneighbors(X[:100])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**16 * 8
    assert not distances.any()
    np.testing.assert_array_equal(indices, np.tile(range(5), (100, 1)))


# Errors


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be at least 1; got 0"),
        ({"n_neighbors": 2.5}, TypeError, "n_neighbors must be a whole number; got 2.5"),
        ({"n_neighbors": 5}, ValueError, "n_neighbors must be at most 4; got n_neighbors=5 and n_samples=4"),
        ({"weights": "near"}, ValueError, r"weights must be one of \['uniform', 'distance'\]; got 'near'"),
    ],
)
def test_invalid_parameter_is_named_by_fit_and_queries(params, error, message, rng):
    X = rng.normal(size=(4, 2))
    with pytest.raises(error, match=message):
        fitted(X, **{"k": params.get("n_neighbors", 2), **{n: v for n, v in params.items() if n == "weights"}})
    classifier = fitted(X, 2).set_params(**params)
    for method in (classifier.predict, classifier.predict_proba, classifier.kneighbors):
        if "weights" not in params or method != classifier.kneighbors:
            with pytest.raises(error, match=message):
                method(X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_rejected(value, rng):
    X = rng.normal(size=(10, 2))
    bad = X.copy()
    bad[3, 1] = value
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        fitted(bad, 2)
    for method in (fitted(X, 2).predict, fitted(X, 2).predict_proba, fitted(X, 2).kneighbors):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            method(bad)


def test_missing_value_marker_is_explained(rng):
    X = rng.normal(size=(10, 2))
    marked = X.copy()
    marked[3, 1] = 1e20
    expected = r"got inf. Scale X, and if .* marks missing values, replace it \(SimpleImputer\)"
    with pytest.raises(ValueError, match=expected):
        fitted(marked, 2)
    with pytest.raises(ValueError, match=expected):
        fitted(X, 2).predict(marked)
    check_neighbours(np.where(marked == 1e20, 1e18, X), X, 3)


def test_invalid_data_is_named(rng):
    X = rng.normal(size=(10, 2))
    with pytest.raises(ValueError, match="X has 1 features, but KNeighborsClassifier is expecting 2"):
        fitted(X, 2).predict(X[:, :1])
    with pytest.raises(ValueError, match="Unknown label type"):
        fitted(X, 2, rng.normal(size=10))
    for large in (1e25, 1e300):
        with pytest.raises(
            ValueError, match=r"half the squared distance is at most 1e\+38, for float32; got (inf|nan)"
        ):
            fitted(X * large, 2)
        with pytest.raises(
            ValueError, match=r"half the squared distance is at most 1e\+38, for float32; got (inf|nan)"
        ):
            fitted(X, 2).predict(X * large)
