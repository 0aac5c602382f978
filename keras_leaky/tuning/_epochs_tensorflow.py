"""TensorFlow: an epoch as one call of a compiled function, over data in memory."""

from functools import partial

import tensorflow as tf

from keras_leaky.tuning.data import map_arrays, n_samples_of


class Epochs:
    """Epochs of a model's own `train_step` and `test_step`, as `fit` and `evaluate` run them.

    `data` is `(x, y, sample_weight)` of device tensors, nested as the model takes them. Metrics
    accumulate in the model, which has to be reset before an epoch.
    """

    def __init__(self, model):
        # XLA only where `fit` would use it: for a net of convolutions it is slow on a CPU.
        step = partial(tf.function, jit_compile=True) if model.jit_compile else lambda f: f
        self._train = tf.function(partial(_run_epoch, step(model.train_step)), autograph=False)
        self._test = tf.function(partial(_run_epoch, step(model.test_step)), autograph=False)

    def train(self, data, order, batch_size):
        """Trains on the samples that `order` numbers, `batch_size` a step."""
        self._train(data, tf.constant(order, tf.int32), batch_size)

    def test(self, data, batch_size):
        self._test(data, tf.range(n_samples_of(data), dtype=tf.int32), batch_size)


def to_device(array):
    return tf.convert_to_tensor(array)


def _run_epoch(step, data, order, batch_size):
    n_samples = order.shape[0]
    n_whole, n_rest = divmod(n_samples, batch_size)

    def run_step(first, size):
        numbers = order[first : first + size]

        def gather(x):
            # With an unknown batch size BatchNormalization takes another gradient than in `fit`.
            return tf.ensure_shape(tf.gather(x, numbers), (size, *x.shape[1:]))

        step(map_arrays(gather, data))

    def body(i):
        run_step(i * batch_size, batch_size)
        return (i + 1,)

    if n_whole:
        tf.while_loop(lambda i: i < n_whole, body, [tf.constant(0)], parallel_iterations=1)
    if n_rest:
        run_step(n_whole * batch_size, n_rest)
