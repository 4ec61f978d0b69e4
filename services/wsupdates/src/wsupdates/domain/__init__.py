"""What the registry decides, free of I/O: slots, leases, the generation, keys and apps."""
