"""One short program for each published figure or table that takes over a minute to compute; see CONTRIBUTING.md."""
