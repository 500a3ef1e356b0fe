"""Result files, tables, plots and the page made of them."""
