"""Hyperparameter search on Ray Tune: plan, trials, Pareto front."""
