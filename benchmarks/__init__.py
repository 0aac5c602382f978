"""Ours against the peers, side by side in one process. What they showed stands in RESULTS.md."""
