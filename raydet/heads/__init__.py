"""Heads: from features to losses and detections."""
