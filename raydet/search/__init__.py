"""Sweeps: learning rates, anchors, losses and anything else of a config, searched with Ray Tune and Optuna."""
