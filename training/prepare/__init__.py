"""From a FLARE download to an nnU-Net raw dataset: pairing, checks, what each case vouches for, splits and a datasheet."""
