"""The comparison of activations: many arms in several nets, each against ReLU."""
