"""HTTP service of the Energy Ingestion Engine: a thin layer over the functions of schema `api`."""

from importlib.metadata import version

__version__ = version("energy-ingestion-engine")
