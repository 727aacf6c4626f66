"""Measurements for the claims about denoising."""

from __future__ import annotations

import numpy as np

from book.replication.claim import Outcome, measures
from book.replication.outcomes import Conditions
from book.replication.reading import runs_of, spread

DENOISER = "autoencoder, sigma 0.2"


def _read(method: str, sigma: float) -> np.ndarray:
    """Return the classifier's test accuracy after a remedy, for each seed."""
    return _read_at_all(method)[:, round(10 * sigma)]


def _read_at_all(method: str) -> np.ndarray:
    return np.array([run["Gaussian"]["accuracy"] for run in runs_of("denoising", method=method)])


def _kept_up_to(method: str, loss: float = 0.01) -> np.ndarray:
    """Return, for each seed, the strongest noise up to which no more accuracy is lost, interpolated between levels."""
    found = []
    for accuracy, floor in zip(_read_at_all(method), _read("nothing", 0) - loss, strict=True):
        i = int(np.argmax(accuracy < floor))
        found.append(0.1 * (i - (accuracy[i] - floor) / (accuracy[i] - accuracy[i - 1])) if i else 0.0)
    return np.array(found)


@measures("A.fig14_denoise.identity", "slightly more than our one point is lost, some of it even without noise")
def _() -> Outcome:
    clean, read = _read("nothing", 0), _read(DENOISER, 0.2)
    text = f"{spread(read, '.1%')} are classified correctly, and {np.median(clean):.1%} of the clean digits"
    wants = "every run keeps more than 90 %; every run loses at most 1 point"
    return Conditions((read.min() > 0.9, bool((clean - read <= 0.01).all())), text, wants, runs=len(read))


def _error(method: str, level: int) -> np.ndarray:
    """Return the squared error against the clean digits after a remedy, for each seed; the level counts tenths."""
    return np.array([run["Gaussian"]["mse"][level] for run in runs_of("denoising", method=method)])


@measures(
    "A.fig14_denoise.removed", "most of what is left is blur, which the same network adds to clean digits as well"
)
def _() -> Outcome:
    noise = _error("nothing", 2)
    gone, blur = 1 - _error(DENOISER, 2) / noise, _error(DENOISER, 0) / noise
    text = (
        f"{spread(gone, '.0%')} of the squared error is gone; clean digits come back with {np.median(blur):.0%} of it"
    )
    wants = "in every run more than half of the noise's squared error is gone; more than 90 % is"
    return Conditions((gone.min() > 0.5, gone.min() > 0.9), text, wants, runs=len(gone))


@measures("A.fig15_denoise_hard.identifiable", "most of them; a clear image can show a different digit")
def _() -> Outcome:
    clean, read = _read("nothing", 0), _read(DENOISER, 0.6)
    text = f"{spread(read, '.1%')} are classified correctly, and {np.median(clean):.1%} of the clean digits"
    wants = "every run keeps more than 80 %; every run loses at most 1 point"
    return Conditions((read.min() > 0.8, bool((clean - read <= 0.01).all())), text, wants, runs=len(read))


@measures("A.fig15_denoise_hard.generalization", "it beats filters tuned for 0.6, without having seen 0.6")
def _() -> Outcome:
    from book.experiments.denoising import METHODS

    read = _read(DENOISER, 0.6)
    best = max(METHODS[1:4], key=lambda method: np.median(_read(method, 0.6)))
    text = f"{spread(read, '.1%')}; the best filter, {best}, {spread(_read(best, 0.6), '.1%')}"
    wants = "every run keeps more than with the best filter"
    return Conditions((bool((read > _read(best, 0.6)).all()),), text, wants, runs=len(read))


@measures("A.fig15_denoise_hard.preserved", "the report gives no accuracy")
def _() -> Outcome:
    kept = _kept_up_to(DENOISER)
    text = f"within one point up to a noise of {spread(kept, '.2f')}"
    wants = "every run loses at most 1 point up to a noise of 0.6"
    return Conditions((bool((kept >= 0.6).all()),), text, wants, runs=len(kept))


@measures("A.fig15_denoise_hard.downstream", "a use is claimed, and no win over a classifier trained on noise")
def _() -> Outcome:
    read, nothing = _read(DENOISER, 0.6), _read("nothing", 0.6)
    text = f"at 0.6 {spread(read, '.1%')}; without it {np.median(nothing):.1%}"
    for trained in ("sigma 0.2", "sigma 0 to 1"):
        denoised, alone = (_read(f"{network}, {trained}", 0.6) for network in ("autoencoder", "classifier"))
        text += (
            f"; both trained at {trained.removeprefix('sigma ')}: {np.median(denoised):.1%} through an autoencoder, "
        )
        text += f"{np.median(alone):.1%} by a classifier alone"
    wants = "every run keeps more than without it"
    return Conditions((bool((read > nothing).all()),), text, wants, runs=len(read))


@measures("A.fig15_denoise_hard.eyes", "no one was surveyed; judge from the figure")
def _() -> Outcome:
    text = f"a classifier is right about {spread(_read('nothing', 0.6), '.1%')} of the noisy digits"
    return Conditions((None,), text, "somebody would have to be asked")
