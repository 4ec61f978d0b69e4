"""What every part of wsmesh shares: the contract between the services, settings, logging, and the command line."""

__version__ = "0.1.0"
