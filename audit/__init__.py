"""DuckDB over the full log."""
