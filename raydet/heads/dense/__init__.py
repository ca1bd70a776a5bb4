"""Heads that predict at every cell of every feature map."""
