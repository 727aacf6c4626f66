"""The site: Sphinx extensions, styles, scripts and pictures, and the book on paper."""
