"""nnkit side by side with PyTorch, scikit-learn and the bare matrix products; ``make bench`` runs it."""
