"""nnkit compared with PyTorch, scikit-learn and the bare matrix products; ``make bench`` runs it."""
