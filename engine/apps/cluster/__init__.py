"""A folder of scans on the workers of a cluster (`flare-trt segment --ray`); only `ray_pool` knows Ray."""
