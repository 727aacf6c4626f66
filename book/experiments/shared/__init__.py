"""Code shared by several experiments; the experiments themselves are in the parent folder."""
