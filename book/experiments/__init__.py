"""One short program for each published figure or table that takes more than a minute; see CONTRIBUTING.md."""
