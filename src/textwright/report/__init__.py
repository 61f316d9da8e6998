"""Draws plain data: charts, tables, one offline HTML file. Knows nothing of models."""
