"""Bounds on the probability that a ReLU net is born dead (Lu et al. 2019).

The net has one input, no biases, L weight layers of which L - 1 are hidden, and N units in each of
these; its weights are independent and as likely w as -w. Without biases it is positively
homogeneous, so the two inputs +1 and -1 tell everything: it is dead if both give 0.

Follow the two hidden vectors u = h(+1) and v = h(-1) from layer to layer:

- In the first hidden layer every unit is active for exactly one of the inputs. All N units take the
  same side with probability 2 * 2^-N; then one vector is 0.
- One ray (one vector is 0, or both are parallel): a layer kills it if all N units turn away from
  it, with probability 2^-N. It never becomes two again.
- Two directions: u and v are not negative, so the two events that a unit turns away from u, and
  that it turns away from v, favor each other. With q the probability of both, 1/4 <= q <= 1/2;
  and as w and -w are equally likely, q is also the probability that the unit is active for both.
  So the layer kills the net with probability q^N and leaves one ray with probability
  2 * (2^-N - q^N), one vector dead, plus at least N * q^N, where a single unit is active for both
  and all others for none. Two directions remain with probability 1 - 2 * 2^-N - (N - 1) q^N.

Lower bound: q = 1/4 in every layer, which is best for survival: the chain of the three states can
then be summed in closed form. Upper bound: in any state a layer kills with probability 2^-N at
most.
"""


def born_dead_bounds(depth: int, width: int) -> tuple[float, float]:
    """Lower and upper bound on the probability that the net is born dead.

    ```
    lower = 1 - a1^(L-2) - c * (a1^(L-2) - a2^(L-2))        upper = 1 - a1^(L-1)
    a1 = 1 - 2^-N           a2 = 1 - 2 * 2^-N - (N - 1) * 4^-N
    c  = (1 - 2 * 2^-N) * (1 - 2^-N) / (1 + (N - 1) * 2^-N)
    ```

    The published upper bound counts all L - 1 hidden layers, also the first one, which without
    biases kills no net.

    Args:
        depth: L >= 2, the number of weight layers; L - 1 of them are hidden.
        width: N >= 1, units a hidden layer.

    Raises:
        ValueError: If `depth` or `width` is smaller.

    Example:

    >>> low, high = born_dead_bounds(depth=10, width=3)
    >>> round(low, 3), round(high, 3)
    (0.513, 0.699)

    References:
        Lu, Shin, Su and Karniadakis, 2019, "Dying ReLU and Initialization: Theory and Numerical
        Examples", section 3: the theorem on one input and no biases.
    """
    if depth < 2:
        raise ValueError(f"`depth` must be at least 2. Received: depth={depth}")
    if width < 1:
        raise ValueError(f"`width` must be at least 1. Received: width={width}")
    none = 2.0**-width  # all units of a layer turn away from one given vector
    one_ray = 1 - none
    two_rays = 1 - 2 * none - (width - 1) * none**2
    weight = (1 - 2 * none) * (1 - none) / (1 + (width - 1) * none)
    n_layers = depth - 2  # those that can kill: all hidden ones but the first
    alive = one_ray**n_layers + weight * (one_ray**n_layers - two_rays**n_layers)
    return 1 - alive, 1 - one_ray ** (depth - 1)
