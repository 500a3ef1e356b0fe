"""What every benchmark uses: result files, tables, and where it ran."""
