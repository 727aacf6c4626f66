"""Argument checks: what passes, what is converted, and what the errors say."""

import numpy as np
import pytest

from nnkit import Tanh
from nnkit.checks import (
    as_array,
    chosen,
    entries,
    finite_array,
    float_array,
    float_dtype,
    generator,
    instance,
    number,
    same_shape,
    whole_number,
    with_methods,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_point_arrays_are_returned_unchanged(dtype):
    array = np.ones(3, dtype=dtype)
    assert float_array("x", array) is array
    assert float_array("x", array, dtype) is array
    assert finite_array("x", array) is array


def test_memory_mapped_arrays_are_not_copied(tmp_path):
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=(3,))
    assert np.shares_memory(float_array("x", mapped), mapped)


def test_integers_become_float32_and_python_floats_become_float64():
    assert float_array("x", [1, 2]).dtype == np.float32
    assert float_array("x", np.array([True])).dtype == np.float32
    assert float_array("x", [1.5]).dtype == np.float64
    assert float_array("x", [1, 2], np.float64).dtype == np.float64


@pytest.mark.parametrize("value", [["a"], [1j], [None]])
def test_non_real_values_are_rejected(value):
    with pytest.raises(TypeError, match="x must hold real numbers; got dtype"):
        float_array("x", value)


def test_float_dtype_accepts_only_floating_point_dtypes():
    assert float_dtype("float32") == float_dtype(np.float32) == np.dtype(np.float32)
    for dtype in (np.int64, bool, "complex128", "U3"):
        with pytest.raises(TypeError, match="dtype must be a floating-point dtype"):
            float_dtype(dtype)


def test_large_values_are_finite_even_if_their_sum_overflows():
    large = np.full(10, 3e38, dtype=np.float32)
    assert finite_array("x", large) is large


def test_empty_arrays_are_finite():
    assert finite_array("x", np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [np.inf, -np.inf], [np.nan, np.inf]])
def test_nan_and_infinity_are_counted_and_the_first_is_located(bad):
    array = np.ones((2, 3))
    array[1, 1 : 1 + len(bad)] = bad
    with pytest.raises(
        ValueError,
        match=rf"x must be finite as float64; got {len(bad)} NaN or infinite of 6 values, the first at index \(1, 1\)",
    ):
        finite_array("x", array)


def test_value_too_large_for_the_dtype_is_rejected_without_a_warning():
    with pytest.raises(ValueError, match="x must be finite as float32; got 1 NaN or infinite of 2 values"):
        finite_array("x", [1.0, 1e300], np.float32)


def test_shapes_are_compared_exactly():
    same_shape("x", np.ones((2, 3)), (2, 3), "y")
    with pytest.raises(ValueError, match=r"x must have the shape of y, \(2, 3\); got \(1, 3\)"):
        same_shape("x", np.ones((1, 3)), (2, 3), "y")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "None"), ([[1.0]], r"\[\[1\.0\]\]"), ([[1.0] * 99] * 99, r"\[\[1\.0, 1\.0, 1\.0, .{,300}$")],
)
def test_shapeless_object_is_rejected_with_a_short_message(value, shown):
    with pytest.raises(TypeError, match=rf"grad must be an array of the shape of the output, \(1, 1\); got {shown}"):
        same_shape("grad", value, (1, 1), "the output")


@pytest.mark.parametrize("check", [as_array, float_array, finite_array])
def test_ragged_rows_are_rejected(check):
    with pytest.raises(ValueError, match="X must be an array, or lists of which all have one length; got"):
        check("X", [[1.0, 2.0], [3.0]])


def test_entries_must_have_the_expected_count():
    assert entries("betas", np.array([1, 2]), 2, "a pair") == (1, 2)
    with pytest.raises(ValueError, match=r"betas must be a pair; got an array of shape \(3, 2\)"):
        entries("betas", np.ones((3, 2)), 2, "a pair")
    with pytest.raises(TypeError, match=r"betas must be a pair; got 0\.9"):
        entries("betas", 0.9, 2, "a pair")


def test_class_passed_as_instance_is_rejected_with_a_hint():
    instance("x", 1, int, "an int")
    with_methods("x", [], ("append",), "a list")
    message = r"x must be an int.*; got <class 'int'>; write int\(\.\.\.\) with parentheses"
    with pytest.raises(TypeError, match=message):
        instance("x", int, int, "an int")
    with pytest.raises(TypeError, match=message):
        with_methods("x", int, ("conjugate",), "an int")


def test_object_without_a_required_method_is_rejected():
    with pytest.raises(TypeError, match="x must be a file, which has read and write; got 'name'"):
        with_methods("x", "name", ("read", "write"), "a file")


def test_generator_passes_through_and_seed_becomes_one():
    rng = np.random.default_rng(1)
    assert generator("rng", rng) is rng
    assert generator("rng", 3).random() == np.random.default_rng(3).random()
    assert generator("rng", None).random() != generator("rng", None).random()


@pytest.mark.parametrize(("value", "error"), [("a", TypeError), (1.5, TypeError), (-1, ValueError)])
def test_invalid_seed_is_rejected(value, error):
    message = rf"rng must be a numpy\.random\.Generator or a whole number that is at least 0; got {value!r}"
    with pytest.raises(error, match=message):
        generator("rng", value)


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1)])
def test_numbers_become_python_floats_and_ints(value):
    assert type(number("lr", value)) is float
    if isinstance(value, (int, np.integer)):
        assert type(whole_number("n", value, least=1)) is int


@pytest.mark.parametrize("value", ["1", None, True, [1], np.array([1.0])])
def test_non_numbers_are_rejected(value):
    with pytest.raises(TypeError, match="lr must be a number"):
        number("lr", value)
    for wrong in (value, 1.0):
        with pytest.raises(TypeError, match="n must be a whole number"):
            whole_number("n", wrong, least=1)


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        (-0.1, {"least": 0, "below": 1}, "at least 0 and below 1"),
        (1, {"least": 0, "below": 1}, "at least 0 and below 1"),
        (np.inf, {"least": 0}, "at least 0"),
        (0.0, {"above": 0}, "above 0"),
        (1.5, {"least": 0, "most": 1}, "at least 0 and at most 1"),
        (np.nan, {}, ""),
    ],
)
def test_numbers_out_of_bounds_are_rejected(value, bounds, expected):
    with pytest.raises(ValueError, match=f"p must be a finite number {expected}".rstrip() + "; got"):
        number("p", value, **bounds)


def test_inclusive_bounds_are_allowed():
    assert number("p", 0, least=0, below=1) == 0
    assert number("momentum", 1, least=0, most=1) == 1
    assert whole_number("n", 1, least=1) == 1
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        whole_number("n", 0, least=1)


def test_choice_is_a_name_or_a_function():
    options = {"small": min, "large": max}
    assert chosen("which", "large", options) is max
    assert chosen("which", sum, options) is sum


def test_choice_with_the_wrong_signature_is_rejected():
    options = {"small": min, "large": max}
    assert chosen("which", sum, options, ("numbers",), ("start",)) is sum
    assert chosen("which", max, options, ("numbers",)) is max  # Its signature cannot be inspected.
    expected = r"which must be a function"
    with pytest.raises(TypeError, match=expected):
        chosen("which", sum, options, ("numbers",), ("begin",))
    with pytest.raises(TypeError, match=r"with \(\); got Tanh\(\)"):
        chosen("which", Tanh(), options, ())


@pytest.mark.parametrize("value", ["lagre", None, 1, ["large"]])
def test_unknown_choice_lists_the_options(value):
    with pytest.raises(ValueError, match=r"which must be one of \['large', 'small'\] or a function; got .+"):
        chosen("which", value, {"small": min, "large": max})
