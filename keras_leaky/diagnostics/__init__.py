"""Dead units: measure them, watch them during training, draw them."""

from keras_leaky.diagnostics.dead_unit_monitor import DeadUnitMonitor
from keras_leaky.diagnostics.dead_units import NanPreActivation, dead_units

__all__ = ["DeadUnitMonitor", "NanPreActivation", "dead_units"]
