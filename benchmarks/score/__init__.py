"""DSC and NSD as FLARE scores them."""
