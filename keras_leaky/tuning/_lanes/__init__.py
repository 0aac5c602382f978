"""The places where trials run: workers of a Dask cluster, and the search that keeps them busy."""
