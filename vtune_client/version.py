"""The version, where every module can have it without loading the package's public names."""

__version__ = "0.1.0"
