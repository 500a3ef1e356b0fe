"""What runs a network: one session contract, one folder a library, and the choice of device."""
