"""Tools of the book's makers: run chapters, write their first cell, repeat every result; `make` calls them."""
