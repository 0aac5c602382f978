"""The common base of all layers of the pack."""

import math
from typing import Any, ClassVar

import keras

from keras_leaky.ops._tensors import cast

# Above these numbers a slope would be infinite, and infinity times 0 is NaN.
_LARGEST = {"float16": 65504.0, "bfloat16": 3.38e38, "float32": 3.4e38}


class Rectifier(keras.layers.Layer):
    """Abstract base of the layers, whose arguments are fixed."""

    # The arguments that are attributes too, and for each what to do instead of assigning it.
    _fixed_arguments: ClassVar[dict[str, str]] = {}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        for name in self._fixed_arguments:  # of a subclass that sets one before it gets here
            self.__dict__.pop(name, None)

    def __setattr__(self, name: str, value: Any) -> None:
        # In the instance since its `__init__`. A build that is repeated sets a new weight.
        if (
            name in self._fixed_arguments
            and name in vars(self)
            and not isinstance(value, keras.Variable)
        ):
            raise AttributeError(
                f"`{name}` of layer {self.name!r} is fixed when the layer is made: assigning it "
                f"would change the saved config, but not the outputs. Received: {name}={value!r}. "
                f"{self._fixed_arguments[name]}"
            )
        super().__setattr__(name, value)

    def cast_inputs(self, inputs: Any) -> Any:
        """`inputs` in the compute dtype, integers too."""
        return cast(inputs, self.compute_dtype)

    def check_finite_in_compute_dtype(self, name: str, value: float) -> None:
        """Refuses a number that would be infinite there."""
        largest = _LARGEST.get(self.compute_dtype, math.inf)
        if abs(value) > largest:
            raise ValueError(
                f"`{name}` of layer {self.name!r} must lie within +-{largest:g}: the layer "
                f"computes in {self.compute_dtype}, which has no larger finite numbers. Received: "
                f"{name}={value!r}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
