"""What several experiments share; the folder above holds what runs."""
