"""Where trials run: the workers of a Dask cluster, and the search that keeps them busy."""
