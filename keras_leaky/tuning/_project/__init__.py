"""A KerasTuner project that survives being killed and damaged."""
