"""Tests, a folder for each of the package, and these:

backends: the layers on JAX and PyTorch, and against their own functions
export: each layer in every file format; files of released versions
properties: arguments and damages that Hypothesis draws
faults: studies that are killed, full disks and damaged folders
golden: files of Keras 2 and of released versions, and the scripts that made them
recipes, benchmarks, docs: what stands beside the package runs, and the pages of evidence say what
the raw numbers say
test_house.py: the rules of the design

`tests` is a package, because others install a `tests` too.
"""
