"""Where the fine network looks: the body, the coarse organs, the box around them."""
