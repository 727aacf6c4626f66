"""Measurements for the claims about training autoencoders and their reconstructions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from book.experiments.shared.pictures import from_text
from book.replication.claim import Outcome, measures, outcome, said
from book.replication.outcomes import Comparison, Conditions, Number
from book.replication.reading import result, runs_of, share, spread, store
from lab.claims import interval
from lab.verdicts import Verdict


@functools.cache
def _training() -> dict[str, list[dict[str, Any]]]:
    """Return the runs of report B's autoencoder: as stated, at a larger rate, and with our better setup."""
    from book.experiments.autoencoder_training import CELLS

    return {
        name: [row["result"] for row in store("autoencoder_training") if row["config"] == cell]
        for name, cell in zip(("stated", "faster", "better"), CELLS.values(), strict=True)
    }


_TABLE_8: dict[str, tuple[Callable[[dict[str, Any]], float], str]] = {
    "first_loss": (lambda run: run["loss"][0], "the mean over the first epoch"),
    "final_loss": (lambda run: run["loss"][-1], "the steps are smaller than the report's"),
    "final_val_loss": (lambda run: run["val_loss"][-1], "likewise"),
    "mse": (lambda run: run["test"]["mse"], "likewise; the report reaches it at the stated rate"),
    "mae": (lambda run: run["test"]["mae"], "likewise"),
    "bce": (lambda run: run["test"]["bce"], "likewise; it includes the loss of perfect reconstructions"),
    "error_std": (lambda run: run["test"]["error_std"], "it rises and falls with the error itself"),
    "range_preservation": (lambda run: run["test"]["range_preservation"], "it depends on two pixels of 11 million"),
}

for _name, (_value, _why) in _TABLE_8.items():

    @measures(f"B.table7_8_autoencoder.{_name}", _why)
    def _(name: str = _name, value: Callable[[dict[str, Any]], float] = _value) -> Outcome:
        by = {kind: np.array([value(run) for run in runs]) for kind, runs in _training().items()}
        better = f"{by['better'].min():.5f} to {by['better'].max():.5f} by a better setup ({len(by['better'])} runs)"
        text = f"{by['stated'][0]:.5f} as stated, {by['faster'][0]:.5f} at a rate of 0.5 (one run each); {better}"
        number = said(f"B.table7_8_autoencoder.{name}")["number"]
        return Number(by["stated"], number, text, "lower", 0.05 * number)


def stated_and_faster() -> list[dict[str, Any]]:
    """Return the run with the published setup, and the one with a learning rate of 0.5."""
    return [_training()["stated"][0], _training()["faster"][0]]


@measures("B.table7_8_autoencoder.smooth", "late in training, batch noise exceeds the progress")
def _() -> Outcome:
    falls = [np.mean(np.diff(run["loss"]) < 0) for run in stated_and_faster()]
    text = f"falls in {falls[0]:.0%} and {falls[1]:.0%} of the epochs (rates 0.1 and 0.5)"
    wants = "both runs fall in more than half of the epochs; in all of them"
    return Conditions((min(falls) > 0.5, min(falls) == 1), text, wants)


@measures("B.table7_8_autoencoder.validation", "50,400 digits are plenty for this network and plain SGD")
def _() -> Outcome:
    gaps = [run["val_loss"][-1] - run["loss"][-1] for run in stated_and_faster()]
    lowest = [1 + int(np.argmin(run["val_loss"])) for run in stated_and_faster()]
    text = f"at the end {gaps[0]:.5f} and {gaps[1]:.5f} above it; lowest at epochs {lowest[0]} and {lowest[1]}"
    wants = "in both runs it ends less than 0.003 above the training loss; it is lowest after epoch 700"
    return Conditions((max(gaps) < 0.003, min(lowest) > 700), text, wants)


@measures("B.table7_8_autoencoder.convergence", "as stated, it is still falling; with the larger rate, hardly")
def _() -> Outcome:
    last = [1 - run["val_loss"][799] / run["val_loss"][699] for run in stated_and_faster()]
    text = f"the last 100 epochs lower the validation loss by {last[0]:.1%} and {last[1]:.1%}"
    wants = "the last 100 epochs lower it by less than 1 % as stated; with the larger rate"
    return Conditions(tuple(drop < 0.01 for drop in last), text, wants)


@measures("B.table7_8_autoencoder.shape", "true of all five runs")
def _() -> Outcome:
    medians = [run["test"]["error_median"] / run["test"]["mse"] for runs in _training().values() for run in runs]
    return Conditions((max(medians) < 1,), f"median over mean: {spread(medians, '.2f')}", "it is so in every run")


@measures("B.table7_8_autoencoder.most_errors", "of 14,000 test digits")
def _() -> Outcome:
    below = [np.arange(14_000) < np.sum(run["test"]["histogram"][:20]) for run in stated_and_faster()]
    text = f"{share(below[0], '.1%')} as stated, {share(below[1], '.1%')} at a rate of 0.5"
    return Comparison(below[0], text, above=0.5, none=0.5)


@measures(
    "B.table7_8_autoencoder.spread", "the reported numbers agree: some digits are reconstructed far worse than others"
)
def _() -> Outcome:
    ratio = np.array([run["test"]["error_std"] / run["test"]["mse"] for runs in _training().values() for run in runs])
    text = f"standard deviation over mean: {spread(ratio, '.0%')}"
    return Comparison(ratio, text, below=0.5, none=0.5)


@measures("B.table7_8_autoencoder.identity", "judged by a classifier; same widths, different training")
def _() -> Outcome:
    clean, through = (
        np.array([run["Gaussian"]["accuracy"][0] for run in runs_of("denoising", method=method)])
        for method in ("nothing", "autoencoder, no noise")
    )
    text = f"{spread(through, '.1%')} of the reconstructions classified correctly, {np.median(clean):.1%} of the digits"
    return Conditions((through.min() > 0.95,), text, "every run keeps more than 95 %")


@measures("B.table7_8_autoencoder.compression", "counted in numbers; in bits, less")
def _() -> Outcome:
    parts = (round(1 - 32 / 784, 3) == 0.959, round(784 / 32, 1) == 24.5)
    wants = "32 of 784 numbers are 95.9 % fewer; they are 24.5 times fewer"
    return Conditions(parts, f"{1 - 32 / 784:.1%}, {784 / 32:.1f} times", wants)


@functools.cache
def _grid(seed: int | None = None) -> dict[str, Any]:
    """Return the tables of figure 10, one row per size, one column per depth: of one seed, or medians over all."""
    from book.experiments.autoencoder_grid import GRID

    sizes, depths, losses = GRID["latent"], GRID["depth"], GRID["loss"]

    def table(name: str, loss: str) -> np.ndarray:
        def cell(h: int, q: int) -> float:
            rows = [row for row in store("autoencoder_grid") if seed in (None, row["seed"])]
            of_cell = {"loss": loss, "latent": h, "depth": q}.items()
            return float(np.median([row["result"][name] for row in rows if of_cell <= row["config"].items()]))

        return np.array([[cell(h, q) for q in depths] for h in sizes])

    mse = {loss: table("test_mse", loss) for loss in losses}
    own = {"MSE": mse["MSE"], "cross-entropy": table("test_cross_entropy", "cross-entropy")}
    return {"mse": mse, "own": own}


@measures("A.fig10_latent_depth.larger", "the additional numbers could stay unused, but do not")
def _() -> Outcome:
    columns = np.hstack(list(_grid()["mse"].values()))
    removed = (columns[1:] < columns[:-1]).ravel()
    text = f"better in {removed.sum()} of {removed.size} doublings, which share seeds and so are not independent"
    wants = "some doublings of the code lower the median error; all do"
    return Conditions((removed.any(), removed.all()), text, wants)


@measures("A.fig10_latent_depth.depth", "larger codes need fewer layers; the widths are ours")
def _() -> Outcome:
    rows = np.vstack(list(_grid()["mse"].values()))
    best = rows.argmin(axis=1) + 1
    in_range, worse = int((best >= 3).sum()), int((rows[:, 2:] > rows[:, 1:2]).sum())
    text = (
        f"3 to 5 in {in_range} of {len(best)} rows; but {worse} of {3 * len(best)} such networks are worse than depth 2"
    )
    wants = "in most rows the best depth is 3 to 5; in all, and none of these depths is worse than 2"
    return Conditions((2 * in_range > len(best), worse == 0 and in_range == len(best)), text, wants)


@measures("A.fig10_latent_depth.plateau", "most of the gain comes from the first nonlinear layer")
def _() -> Outcome:
    rows = np.vstack(list(_grid()["mse"].values()))
    gain = np.median(1 - rows[:, 1:] / rows[:, :-1], axis=0)
    text = f"layers 2 to 5 remove {', '.join(f'{part:.0%}' for part in gain)} (medians of {len(rows)} rows)"
    wants = "the second layer gains more than 5 times as much as any later one, in the median"
    return Conditions((gain[0] > 5 * gain[1:].max(),), text, wants)


def _more_sensitive(tables: dict[str, np.ndarray], drop: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    drops = {loss: drop(table[:-1], table[1:]) for loss, table in tables.items()}
    return (drops["cross-entropy"] > drops["MSE"]).ravel()


for _name, _tables, _drop, _why in (
    ("sensitive", "own", lambda a, b: a - b, "it is measured in larger units"),
    ("sensitive_relative", "own", lambda a, b: 1 - b / a, "its floor does not fall"),
    ("sensitive_mse", "mse", lambda a, b: 1 - b / a, "the squared error leaves some pixels confidently wrong"),
):

    @measures(f"A.fig10_latent_depth.{_name}", _why)
    def _(tables: str = _tables, drop: Callable[..., np.ndarray] = _drop) -> Outcome:
        # The cells of one seed are not independent: each counts with its neighbours. The seeds are the runs.
        seeds = sorted({row["seed"] for row in store("autoencoder_grid")})
        more = np.array([_more_sensitive(_grid(seed)[tables], drop).mean() for seed in seeds])
        text = f"cross-entropy drops further in {spread(more, '.0%')} of the doublings"
        return Comparison(more, text, above=0.5, none=0.5)


@measures("A.fig10_latent_depth.more_sensitive", "the report does not say on which scale, and the scale decides")
def _() -> Outcome:
    readings = ("sensitive", "sensitive_relative", "sensitive_mse")
    held = tuple(outcome(f"A.fig10_latent_depth.{name}").verdict() is Verdict.REPLICATED for name in readings)
    wants = "it is so in each loss's own units; relative to them; with both networks judged by the squared error"
    return Conditions(held, f"on {sum(held)} of 3 scales", wants)


def _total_variation(pictures: np.ndarray) -> np.ndarray:
    P = pictures.reshape(-1, 28, 28)
    return sum(np.abs(np.diff(P, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))


@measures("A.fig11_reconstructions.smoother", "detail that does not fit into the code, rather than noise")
def _() -> Outcome:
    digits = next(row for row in result("autoencoder_baselines") if row["reconstruction"] == "itself")
    drawn = [
        runs_of("autoencoder_grid", loss=loss, latent=32, depth=5)[0]["ten_digits"] for loss in ("MSE", "cross-entropy")
    ]
    less = 1 - np.mean([_total_variation(from_text(text)) for text in drawn], axis=0) / _total_variation(
        from_text(digits["ten_digits"])
    )
    _, low, high = interval(less)
    text = f"{np.median(less):.0%} less total variation ({low:.0%} to {high:.0%}, ten digits)"
    return Comparison(less, text, above=0)


@measures("A.fig11_reconstructions.essential", "a visual judgement")
def _() -> Outcome:
    return Conditions((None,), "see the figure in the chapter", "it is a judgement of the eye")
