"""Value, first and second derivative of an elementwise function, on JAX or PyTorch."""

import keras


def differentiate(f, x, jit=False):
    if keras.backend.backend() == "jax":
        return _with_jax(f, x, jit)
    return _with_torch(f, x)


def _with_jax(f, x, jit):
    import jax

    def all_three(x):
        def first(x):
            y, vjp = jax.vjp(f, x)
            return vjp(jax.numpy.ones_like(y))[0]

        slope, vjp = jax.vjp(first, x)
        return f(x), slope, vjp(jax.numpy.ones_like(slope))[0]

    return (jax.jit(all_three) if jit else all_three)(x)


def _with_torch(f, x):
    import torch

    x = x.clone().requires_grad_()
    y = f(x)
    (first,) = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)
    second = torch.zeros_like(x)
    if first.requires_grad:
        (second,) = torch.autograd.grad(first, x, torch.ones_like(first), allow_unused=True)
        second = torch.zeros_like(x) if second is None else second
    return y.detach(), first.detach(), second
