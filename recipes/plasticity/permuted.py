"""Online Permuted MNIST in small, after Dohare et al. 2024, Nature 632: many nets in one program.

Each task permutes the pixels in a way of its own. A net sees every image of a task once, and what
counts is the accuracy on each batch before it is trained on it.

The paper has 28 x 28 pixels, three hidden layers of 2,000 units, 60,000 images a task, 800 tasks
and batches of one. Ours has 14 x 14 pixels (means of 2 x 2), three hidden layers of 64 units,
6,000 images a task, drawn for each, and batches of 16. Each arm starts with the gain of its slope.
Every arm sees the same tasks and starts from the same draws in run r.
"""

# pyright: reportMissingImports=false
# JAX is an extra.

import itertools
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from recipes.plasticity.arms import ELU, PRELU, count_units, draw_weights, fixed, rectify

SLOPES = (0, 0.01, 0.1, 0.3, 0.7)
ARMS = (*map(fixed, SLOPES), PRELU, ELU)
STEP_SIZES = (0.1, 0.03, 0.01)
N_PIXELS, N_UNITS, N_LAYERS, N_CLASSES = 14 * 14, 64, 3, 10
BATCH_SIZE, IMAGES_A_TASK = 16, 6_000
N_SAMPLE, SAMPLE_BATCH = 2_000, 100  # the last images of a task, to look at units

jax.config.update("jax_default_matmul_precision", "highest")  # a GPU would round the factors


def load_images(folder: Path):
    """(images, labels) of MNIST's training part, 196 floats in [0, 1] an image."""
    with np.load(folder / "mnist.npz") as file:
        x, y = file["x_train"], file["y_train"]
    means = x.reshape(len(x), 14, 2, 14, 2).mean((2, 4), dtype="float32") / 255
    return means.reshape(len(x), N_PIXELS).astype("float32"), y.astype("int32")


class PermutedMnist:
    """The program. A task is what is recorded together."""

    name, unit, headline = "permuted", "task", "accuracy"

    def __init__(self, n_runs: int, n_tasks: int, seed: int, images, images_a_task=IMAGES_A_TASK):
        self.n_runs, self.n_steps, self.seed = n_runs, n_tasks, seed
        self.images_a_task, self.n_images = images_a_task, len(images[0])
        self.images = jax.device_put(images)
        self.nets = [*itertools.product(ARMS, STEP_SIZES)]
        self.constants = {
            "rate": np.array([rate for _, rate in self.nets], "float32"),
            "is_learned": np.array([arm.is_learned for arm, _ in self.nets], "float32"),
            "is_elu": np.array([arm.is_elu for arm, _ in self.nets], "float32"),
        }

    def config(self):
        """What the numbers depend on, apart from how far it goes."""
        return {
            "task": self.name,
            "runs": self.n_runs,
            "seed": self.seed,
            "arms": [arm.name for arm in ARMS],
            "step_sizes": list(STEP_SIZES),
            "images_a_task": self.images_a_task,
            "images": self.n_images,
        }

    def labels(self):
        """(arm, step size, init, run) of every number in a record, in its order."""
        keys = [(arm.name, rate, "rectifier") for arm, rate in self.nets]
        return [(*key, run) for key in keys for run in range(1, self.n_runs + 1)]

    def start(self):
        """Weights by run first; those of the first layer of all nets of a run side by side."""
        rng = np.random.default_rng([self.seed, 1])
        n_nets, state = len(self.nets), {}
        gains = np.array([arm.gain() for arm, _ in self.nets], "float32")[:, None, None]
        for i in range(N_LAYERS + 1):
            n_in = N_UNITS if i else N_PIXELS
            n_out = N_UNITS if i < N_LAYERS else N_CLASSES
            weights = draw_weights(rng, (self.n_runs, 1, n_in, n_out)) / n_in**0.5
            weights = weights * (gains if i < N_LAYERS else np.ones_like(gains))
            if i == 0:
                weights = weights.transpose(0, 2, 1, 3).reshape(self.n_runs, n_in, -1)
            state[f"weights_{i}"] = np.ascontiguousarray(weights, "float32")
            state[f"bias_{i}"] = np.zeros((self.n_runs, n_nets, n_out), "float32")
            if i < N_LAYERS:
                slopes = np.array([arm.slope for arm, _ in self.nets], "float32")[:, None]
                shape = self.n_runs, n_nets, N_UNITS
                state[f"slope_{i}"] = np.array(np.broadcast_to(slopes, shape))
        return state

    def draw_task(self, task):
        """Permutations (runs, pixels), and numbers of images (steps, runs, batch)."""
        permutations, numbers = [], []
        for run in range(self.n_runs):
            rng = np.random.default_rng([self.seed, 2, task, run])
            permutations.append(rng.permutation(N_PIXELS))
            numbers.append(rng.choice(self.n_images, self.images_a_task, replace=False))
        n_steps = self.images_a_task // BATCH_SIZE
        numbers = np.array(numbers, "int32")[:, : n_steps * BATCH_SIZE]
        numbers = numbers.reshape(self.n_runs, n_steps, BATCH_SIZE).transpose(1, 0, 2)
        return np.array(permutations, "int32"), numbers

    def run(self, state, number):
        """The state after task `number`, from 0, and its record."""
        return _train(state, self.constants, self.images, *self.draw_task(number))


def forward(state, is_elu, x):
    """Logits (runs, nets, batch, classes), and pre-activations and activations of the layers."""
    n_runs, n_nets, _ = state["bias_0"].shape
    inside = []
    z = jnp.einsum("rbi,rin->rbn", x, state["weights_0"])
    z = z.reshape(n_runs, x.shape[1], n_nets, N_UNITS).transpose(0, 2, 1, 3)
    for i in range(N_LAYERS):
        z = z + state[f"bias_{i}"][:, :, None]
        h = rectify(z, state[f"slope_{i}"][:, :, None], is_elu[:, None, None])
        inside.append((z, h))
        z = jnp.einsum("rabi,raio->rabo", h, state[f"weights_{i + 1}"])
    return z + state[f"bias_{N_LAYERS}"][:, :, None], inside


def step(state, constants, x, y):
    """A step of SGD of every net on a batch of its run: x (runs, batch, pixels), y (runs, batch).

    Also the loss and the accuracy on the batch before it, each (runs, nets).
    """
    is_elu = constants["is_elu"] > 0

    def losses_of(state):
        logits, _ = forward(state, is_elu, x)
        at_label = jnp.take_along_axis(logits, y[:, None, :, None], -1)[..., 0]
        losses = (jax.nn.logsumexp(logits, -1) - at_label).mean(-1)
        accuracy = (logits.argmax(-1) == y[:, None]).mean(-1)
        return losses.sum(), (losses, accuracy)  # no net's numbers are in another's loss

    gradients, found = jax.grad(losses_of, has_aux=True)(state)
    rate = constants["rate"]
    rates = {
        "weights": rate[:, None, None],
        "bias": rate[:, None],
        "slope": (rate * constants["is_learned"])[:, None],
    }
    new_state = {
        name: numbers
        - (jnp.repeat(rate, N_UNITS) if name == "weights_0" else rates[name.split("_")[0]])
        * gradients[name]
        for name, numbers in state.items()
    }
    return new_state, found


@partial(jax.jit, donate_argnums=0)
def _train(state, constants, images, permutations, numbers):
    """All nets through one task, then a look at their units."""
    n_runs = len(permutations)
    x_all, y_all = images

    def take(numbers):  # (runs, batch)
        return x_all[numbers[:, :, None], permutations[:, None, :]], y_all[numbers]

    def train(carry, numbers):
        state, losses, accuracies = carry
        state, (loss, accuracy) = step(state, constants, *take(numbers))
        return (state, losses + loss, accuracies + accuracy), None

    zeros = jnp.zeros((n_runs, len(constants["rate"])))
    (state, losses, accuracies), _ = jax.lax.scan(train, (state, zeros, zeros), numbers)
    record = {"accuracy": accuracies / len(numbers), "loss": losses / len(numbers)}

    n_batches = min(N_SAMPLE // SAMPLE_BATCH, numbers.shape[0] * BATCH_SIZE // SAMPLE_BATCH)
    in_order = numbers.transpose(1, 0, 2).reshape(n_runs, -1)[:, -n_batches * SAMPLE_BATCH :]
    batches = in_order.reshape(n_runs, n_batches, SAMPLE_BATCH).transpose(1, 0, 2)
    is_elu = constants["is_elu"] > 0

    def look(carry, numbers):
        _, inside = forward(state, is_elu, take(numbers)[0])
        pairs = zip(carry, inside, strict=True)
        return [
            (jnp.maximum(highest, z.max(2)), size + jnp.abs(h).sum(2))
            for (highest, size), (z, h) in pairs
        ], None

    shape = state["bias_0"].shape
    first = [(jnp.full(shape, -jnp.inf), jnp.zeros(shape)) for _ in range(N_LAYERS)]
    layers, _ = jax.lax.scan(look, first, batches)
    for i, (highest, size) in enumerate(layers):
        slope = state[f"slope_{i}"]
        counts = count_units(
            highest, size / (n_batches * SAMPLE_BATCH), slope, is_elu[:, None], axis=2
        )
        record |= {f"{name}_{i + 1}": count for name, count in counts.items()}
    return state, {name: numbers.T for name, numbers in record.items()}  # by net, then run
