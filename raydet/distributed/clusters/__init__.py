"""Clusters as files: machines in pools, rendered for each platform from one description, and checked."""
