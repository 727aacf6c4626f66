"""The book: chapters as notebooks, the experiments behind them, and what they measured."""
