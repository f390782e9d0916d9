"""Propensity models: training, calibration, registry, scoring."""

from models import openmp

openmp.ensure()  # before anything here imports LightGBM
