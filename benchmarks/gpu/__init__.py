"""What a GPU gives: run as `python -m benchmarks.gpu`."""
