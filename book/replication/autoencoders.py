"""Measurements for the claims about training autoencoders and their reconstructions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from book.experiments import autoencoder_training
from book.experiments.shared.pictures import from_text
from book.replication.claim import Outcome, measures, outcome, said
from book.replication.outcomes import Comparison, Conditions, Number
from book.replication.reading import result, runs_of, spread, store
from lab.claims import interval
from lab.results import load_rules
from lab.verdicts import Verdict


@functools.cache
def training() -> dict[str, list[dict[str, Any]]]:
    """Return the runs of report B's autoencoder: as its repository ran it, as its text says, and our better setup."""
    return {
        name: [row["result"] for row in store("autoencoder_training") if row["config"] == cell]
        for name, cell in autoencoder_training.CELLS.items()
    }


RULES = load_rules(autoencoder_training.__file__)


def _of_run(run: dict[str, Any]) -> dict[str, float]:
    return {"first_loss": run["loss"][0], "final_loss": run["loss"][-1], "final_val_loss": run["val_loss"][-1]}


for _name, _why in (
    ("first_loss", "the mean over the first epoch, from the weights that the repository starts with"),
    ("final_loss", "the last of its log"),
    ("final_val_loss", "likewise"),
):

    @measures(f"B.table7_8_autoencoder.{_name}", _why)
    def _(name: str = _name) -> Outcome:
        by = {kind: np.array([_of_run(run)[name] for run in runs]) for kind, runs in training().items()}
        number = said(f"B.table7_8_autoencoder.{name}")["number"]
        text = f"{spread(by['as run'], '.5f')} as run; {spread(by['as stated'], '.5f')} with Xavier weights"
        return Number(by["as run"], number, text, "lower", RULES["loss_at_epochs"]["tolerance"] * number)


for _name, _good, _why in (
    ("mse", "lower", "of 100 test digits, as the repository measures it"),
    ("mae", "lower", "likewise"),
    ("bce", "lower", "likewise; it includes the loss of perfect reconstructions"),
    ("error_std", "lower", "likewise; it rises and falls with the error itself"),
    ("range_preservation", None, "likewise; it depends on two pixels"),
):

    @measures(f"B.table7_8_autoencoder.{_name}", _why)
    def _(name: str = _name, good: str | None = _good) -> Outcome:
        runs = training()["as run"]
        draws = np.concatenate([run["test"]["of_100"][name] for run in runs])
        whole = np.array([run["test"][name] for run in runs])
        text = f"{spread(whole, '.5f')} on 14,000 digits; on 100 of them {np.median(draws):.5f}"
        return Number(draws, said(f"B.table7_8_autoencoder.{name}")["number"], text, good)


def _of_as_run(value: Callable[[dict[str, Any]], float]) -> np.ndarray:
    return np.array([value(run) for run in training()["as run"]])


@measures("B.table7_8_autoencoder.smooth", "late in training, batch noise exceeds the progress")
def _() -> Outcome:
    falls = _of_as_run(lambda run: float(np.mean(np.diff(run["loss"]) < 0)))
    wants = "every run falls in more than half of the epochs; in all of them"
    text = f"falls in {falls.min():.0%} to {falls.max():.0%} of the epochs ({len(falls)} runs)"
    return Conditions((bool(falls.min() > 0.5), bool(falls.min() == 1)), text, wants, runs=len(falls))


@measures("B.table7_8_autoencoder.validation", "50,400 digits are plenty for this network and plain SGD")
def _() -> Outcome:
    rule = RULES["no_overfitting"]
    gaps = _of_as_run(lambda run: run["val_loss"][-1] - run["loss"][-1])
    lowest = _of_as_run(lambda run: 1 + int(np.argmin(run["val_loss"])))
    text = f"at the end {spread(gaps, '.5f')} above it; lowest after epoch {spread(lowest, '.0f')}"
    wants = (
        f"in the median it ends less than {rule['below']} above the training loss; it is lowest after epoch "
        f"{rule['lowest_after']}"
    )
    parts = (bool(np.median(gaps) < rule["below"]), bool(np.median(lowest) > rule["lowest_after"]))
    return Conditions(parts, text, wants, runs=len(gaps))


@measures("B.table7_8_autoencoder.convergence", "where a curve has converged is a matter of the bound")
def _() -> Outcome:
    last = _of_as_run(lambda run: 1 - run["val_loss"][799] / run["val_loss"][699])
    text = f"the last 100 epochs lower the validation loss by {spread(last, '.1%')}"
    return Comparison(last, text, below=RULES["convergence"]["below"])


@measures("B.table7_8_autoencoder.shape", "in every run")
def _() -> Outcome:
    medians = _of_as_run(lambda run: run["test"]["error_median"] / run["test"]["mse"])
    text = f"median over mean: {spread(medians, '.2f')}"
    return Conditions((bool(medians.max() < 1),), text, "it is below 1 in every run", runs=len(medians))


def share_below(run: dict[str, Any]) -> float:
    """Return the share of a run's test digits whose error is below 0.01."""
    return sum(run["test"]["histogram"][:20]) / sum(run["test"]["histogram"])


@measures("B.table7_8_autoencoder.most_errors", "of 14,000 test digits")
def _() -> Outcome:
    below = _of_as_run(share_below)
    return Comparison(below, spread(below, ".1%"), above=RULES["most_errors"]["above"], none=0.5)


@measures(
    "B.table7_8_autoencoder.spread", "the reported numbers agree: some digits are reconstructed far worse than others"
)
def _() -> Outcome:
    ratio = _of_as_run(lambda run: run["test"]["error_std"] / run["test"]["mse"])
    text = f"standard deviation over mean: {spread(ratio, '.0%')}"
    return Comparison(ratio, text, below=RULES["consistent"]["below"], none=0.5)


@measures("B.table7_8_autoencoder.identity", "judged by a classifier; same widths, different training")
def _() -> Outcome:
    clean, through = (
        np.array([run["Gaussian"]["accuracy"][0] for run in runs_of("denoising", method=method)])
        for method in ("nothing", "autoencoder, no noise")
    )
    text = f"{spread(through, '.1%')} of the reconstructions classified correctly, {np.median(clean):.1%} of the digits"
    return Conditions((through.min() > 0.95,), text, "every run keeps more than 95 %", runs=len(through))


@measures("B.table7_8_autoencoder.compression", "counted in numbers; in bits, less")
def _() -> Outcome:
    parts = (round(1 - 32 / 784, 3) == 0.959, round(784 / 32, 1) == 24.5)
    wants = "32 of 784 numbers are 95.9 % fewer; they are 24.5 times fewer"
    return Conditions(parts, f"{1 - 32 / 784:.1%}, {784 / 32:.1f} times", wants)


@functools.cache
def grid(seed: int | None = None) -> dict[str, Any]:
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


def seeds_of_grid() -> list[int]:
    """Return the seeds of figure 10: its cells share them, so they are its runs."""
    return sorted({row["seed"] for row in store("autoencoder_grid")})


@measures("A.fig10_latent_depth.larger", "the additional numbers could stay unused, but do not")
def _() -> Outcome:
    columns = np.hstack(list(grid()["mse"].values()))
    removed = (columns[1:] < columns[:-1]).ravel()
    text = f"better in {removed.sum()} of {removed.size} doublings, which share seeds and so are not independent"
    wants = "some doublings of the code lower the median error; all do"
    return Conditions((removed.any(), removed.all()), text, wants, runs=len(seeds_of_grid()))


@measures("A.fig10_latent_depth.depth", "with larger codes our deeper networks did worse; the widths are ours")
def _() -> Outcome:
    rows = np.vstack(list(grid()["mse"].values()))
    best = rows.argmin(axis=1) + 1
    in_range, worse = int((best >= 3).sum()), int((rows[:, 2:] > rows[:, 1:2]).sum())
    text = (
        f"3 to 5 in {in_range} of {len(best)} rows; but {worse} of {3 * len(best)} such networks are worse than depth 2"
    )
    wants = "in most rows the best depth is 3 to 5; in all, and none of these depths is worse than 2"
    parts = (2 * in_range > len(best), worse == 0 and in_range == len(best))
    return Conditions(parts, text, wants, runs=len(seeds_of_grid()))


@measures("A.fig10_latent_depth.plateau", "most of the gain comes from the first nonlinear layer")
def _() -> Outcome:
    rows = np.vstack(list(grid()["mse"].values()))
    gain = np.median(1 - rows[:, 1:] / rows[:, :-1], axis=0)
    text = f"layers 2 to 5 remove {', '.join(f'{part:.0%}' for part in gain)} (medians of {len(rows)} rows)"
    wants = "the second layer gains more than 5 times as much as any later one, in the median"
    return Conditions((gain[0] > 5 * gain[1:].max(),), text, wants, runs=len(seeds_of_grid()))


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
        more = np.array([_more_sensitive(grid(seed)[tables], drop).mean() for seed in seeds_of_grid()])
        text = f"cross-entropy drops further in {spread(more, '.0%')} of the doublings"
        return Comparison(more, text, above=0.5, none=0.5)


@measures("A.fig10_latent_depth.more_sensitive", "the report does not say on which scale, and the scale decides")
def _() -> Outcome:
    readings = ("sensitive", "sensitive_relative", "sensitive_mse")
    held = tuple(outcome(f"A.fig10_latent_depth.{name}").verdict() is Verdict.REPLICATED for name in readings)
    wants = "it is so in each loss's own units; relative to them; with both networks judged by the squared error"
    return Conditions(held, f"on {sum(held)} of 3 scales", wants, runs=len(seeds_of_grid()))


def _total_variation(pictures: np.ndarray) -> np.ndarray:
    P = pictures.reshape(-1, 28, 28)
    return sum(np.abs(np.diff(P, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))


@measures(
    "A.fig11_reconstructions.smoother",
    "lost detail and lost noise would look alike here; the digits were clean, which speaks for detail",
)
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
